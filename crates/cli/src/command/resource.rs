//! What the nouns have in common: plain resources that are listed, shown, made, changed and
//! deleted.

use ferryway_api::List;
use ferryway_api::client::{Answer, Ask, Require, escape};
use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::args::{Document, Listing, Most};
use crate::document;
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::table::{self, Row};

/// Shows a whole list: for scripts as one page of the API that holds all.
pub(super) async fn list<T: Row + Serialize + DeserializeOwned>(
    session: &Session,
    path: &str,
    none: &str,
) -> Result<Exit, Failure> {
    let page = List {
        items: session.client.all(path).await?,
        next_cursor: None,
    };
    show_list::<T>(session, &page, none)
}

/// Shows a page that was read.
pub(super) fn show_list<T: Row + Serialize>(
    session: &Session,
    page: &List<T>,
    none: &str,
) -> Result<Exit, Failure> {
    session
        .screen
        .show(page, |paint| table::of(&page.items, none, paint))?;
    Ok(Exit::Done)
}

/// A list's path with what narrows it.
pub(super) fn narrowed(path: &str, listing: &Listing) -> String {
    let labels = listing
        .labels
        .iter()
        .map(|label| format!("label={}", escape(label)));
    let query = listing
        .query
        .iter()
        .map(|text| format!("q={}", escape(text)));
    let parts: Vec<_> = labels.chain(query).collect();
    if parts.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", parts.join("&"))
    }
}

/// The path of a list's newest, with what narrows it.
pub(super) fn at_most(path: &str, most: &Most) -> String {
    let Most { limit, query } = most;
    let query = query.as_deref().map(|text| format!("&q={}", escape(text)));
    format!("{path}?limit={limit}{}", query.unwrap_or_default())
}

/// Shows one resource whole.
pub(super) async fn get(session: &Session, path: &str) -> Result<Exit, Failure> {
    let found: Value = session.client.get(path).await?;
    session.screen.show_whole(&found)?;
    Ok(Exit::Done)
}

/// Deletes one, after a question on a terminal.
pub(super) async fn delete(session: &Session, path: &str, what: &str) -> Result<Exit, Failure> {
    if !session.confirm(&format!("delete {what}?"))? {
        return Err(Failure::Other("nothing was deleted".to_owned()));
    }
    let () = session.client.delete(path).await?;
    said(session, &format!("{what} is deleted"))
}

/// Replaces one from a file, or from what a person makes of it in an editor. `added` are the
/// fields that answers add by themselves: they are not shown to the person.
pub(super) async fn edit(
    session: &Session,
    path: &str,
    what: &str,
    document: &Document,
    added: &[&str],
) -> Result<Exit, Failure> {
    if let Some(file) = &document.file {
        let source = document::read(file)?;
        let put = session.client.put::<Value>(path, source.value()).await;
        put.map_err(|error| source.blame(error.into()))?;
        return said(session, &format!("{what} is changed"));
    }
    let (etag, before) = to_edit(session, path, added).await?;
    let Some(edited) = document::edit(what, &before)? else {
        return said(session, &format!("{what} stays as it is"));
    };
    match replace(session, path, &edited.value()?, etag.as_deref()).await {
        Ok(()) => said(session, &format!("{what} is changed")),
        Err(failure) => Err(edited.keep(failure)),
    }
}

/// What a person is given to edit, and the state that it was read in.
pub(super) async fn to_edit(
    session: &Session,
    path: &str,
    added: &[&str],
) -> Result<(Option<String>, Value), Failure> {
    let ask = Ask {
        method: Method::GET,
        path,
        body: None,
        require: Require::Anything,
    };
    let Answer { etag, mut body, .. } = session.client.call::<Value>(ask).await?;
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|name, _| !added.contains(&name.as_str()));
    }
    Ok((etag, body))
}

async fn replace(
    session: &Session,
    path: &str,
    body: &Value,
    if_match: Option<&str>,
) -> Result<(), Failure> {
    let ask = Ask {
        method: Method::PUT,
        path,
        body: Some(body),
        require: if_match.map_or(Require::Anything, Require::Seen),
    };
    session.client.call::<Value>(ask).await?;
    Ok(())
}

/// Says to people that something was done; scripts have the exit code.
pub(super) fn said(session: &Session, what: &str) -> Result<Exit, Failure> {
    if session.screen.is_for_people() {
        session.screen.line(what)?;
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_narrowed_by_what_was_said() {
        let listing = |labels: &[&str], query: Option<&str>| Listing {
            labels: labels.iter().map(|&label| label.to_owned()).collect(),
            query: query.map(str::to_owned),
        };
        assert_eq!(narrowed("/services", &listing(&[], None)), "/services");
        assert_eq!(
            narrowed("/services", &listing(&["team=core", "x=y"], Some("a b"))),
            "/services?label=team%3Dcore&label=x%3Dy&q=a%20b",
        );
        let most = |query: Option<&str>| Most {
            limit: 50,
            query: query.map(str::to_owned),
        };
        assert_eq!(at_most("/audit", &most(None)), "/audit?limit=50");
        assert_eq!(
            at_most("/audit", &most(Some("a b"))),
            "/audit?limit=50&q=a%20b"
        );
    }
}
