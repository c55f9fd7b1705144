//! What differs between two groups, or between two versions.

use ferryway_api::client::escape;
use ferryway_api::{Changes, Compare, ComparedService, ComparedSide, ComparedState, Version};
use ferryway_model::{Binding, Definition, Difference, Name, Side, VersionNumber};
use serde::Serialize;
use serde_json::{Value, json};

use super::apply;
use crate::args::{Diff, ServiceVersion};
use crate::exit::{Exit, Failure};
use crate::plan::{Background, changes_text, version};
use crate::screen::Paint;
use crate::session::Session;

pub(super) async fn run(session: &Session, diff: Diff) -> Result<Exit, Failure> {
    let Diff {
        what,
        files,
        prune,
        exit_code,
    } = diff;
    if !files.is_empty() {
        return apply::diff(session, &files, &prune, exit_code).await;
    }
    let differs = match &what[..] {
        [a, b] if a.contains('@') || b.contains('@') => versions(session, a, b).await?,
        [a, b] => groups(session, None, a, b).await?,
        [service, a, b] => groups(session, Some(service), a, b).await?,
        _ => return Err(usage("give two or three names")),
    };
    Ok(if differs && exit_code {
        Exit::Different
    } else {
        Exit::Done
    })
}

async fn groups(
    session: &Session,
    service: Option<&String>,
    a: &str,
    b: &str,
) -> Result<bool, Failure> {
    let mut path = format!("/compare?a={}&b={}&limit=1000", escape(a), escape(b));
    if let Some(service) = service {
        path.push_str(&format!("&service={}", escape(service)));
    }
    let mut compare: Compare = session.client.get(&path).await?;
    for _ in 0..PAGES_MAX {
        let Some(cursor) = compare.next_cursor.take() else {
            break;
        };
        let page: Compare = session
            .client
            .get(&format!("{path}&cursor={}", escape(&cursor)))
            .await?;
        compare.items.extend(page.items);
        compare.next_cursor = page.next_cursor;
    }
    let background = background(session, &compare).await;
    session
        .screen
        .show(&compare, |paint| compare_text(&compare, &background, paint))?;
    Ok(compare
        .items
        .iter()
        .any(|item| item.state != ComparedState::Same))
}

/// The paths of routes that only the second group has. What cannot be read is left out.
async fn background(session: &Session, compare: &Compare) -> Background {
    let mut background = Background::default();
    if !session.screen.is_for_people() {
        return background;
    }
    let items = compare.items.iter();
    let with_more = items.filter(|item| item.b.is_some() && !item.changes.routes.added.is_empty());
    for item in with_more.take(READS_MAX) {
        let (group, service) = (escape(&compare.b), escape(&item.service));
        let path = format!("/gateway-groups/{group}/services/{service}/definition");
        if let Ok(definition) = session.client.get::<Value>(&path).await {
            background.learn_routes(&item.service, &definition);
        }
    }
    background
}

fn compare_text(compare: &Compare, background: &Background, paint: Paint) -> String {
    let Compare { a, b, items, .. } = compare;
    if items.is_empty() {
        return format!("{a} and {b} run the same\n");
    }
    items
        .iter()
        .map(|item| compared_text(item, a, b, background, paint))
        .collect()
}

fn compared_text(
    item: &ComparedService,
    a: &str,
    b: &str,
    background: &Background,
    paint: Paint,
) -> String {
    let side = |side: Option<&ComparedSide>| {
        let text = version(
            side.and_then(|side| side.version.as_deref()),
            side.map(|side| side.digest.as_str()),
        );
        text.to_owned()
    };
    let (from, to) = (side(item.a.as_ref()), side(item.b.as_ref()));
    let service = paint.bold(&item.service);
    let title = match item.state {
        ComparedState::Same => format!("{service}  {from}   the same in {a} and {b}\n"),
        ComparedState::Different => format!("{service}  {from} → {to}   {a} → {b}\n"),
        ComparedState::OnlyA => format!("{service}  {from}   in {a} only\n"),
        ComparedState::OnlyB => format!("{service}  {to}   in {b} only\n"),
    };
    title + &changes_text(&item.changes, &item.service, background, paint)
}

/// Two versions, as scripts read it.
#[derive(Debug, Serialize)]
struct ComparedVersions {
    a: String,
    b: String,
    changes: Changes,
}

async fn versions(session: &Session, a: &str, b: &str) -> Result<bool, Failure> {
    let [before, after] = [a, b].map(number);
    let (before, after) = (before?, after?);
    let (old, new) = (read(session, &before).await?, read(session, &after).await?);
    let compared = ComparedVersions {
        a: a.to_owned(),
        b: b.to_owned(),
        changes: between(&old, &new)?,
    };
    let mut background = Background::default();
    background.learn_routes(before.0.as_str(), &new.definition);
    session.screen.show(&compared, |paint| {
        let changes = changes_text(&compared.changes, before.0.as_str(), &background, paint);
        if changes.is_empty() {
            format!("{a} and {b} are the same\n")
        } else {
            format!("{a} → {b}\n{changes}")
        }
    })?;
    Ok(compared.changes != Changes::default())
}

fn number(text: &str) -> Result<(Name, VersionNumber), Failure> {
    let ServiceVersion { service, version } =
        text.parse().map_err(|error: String| usage(&error))?;
    let version = version.ok_or_else(|| usage("both must be versions, as httpbin@1.0.0"))?;
    Ok((service, version))
}

async fn read(session: &Session, named: &(Name, VersionNumber)) -> Result<Version, Failure> {
    let (service, version) = named;
    let path = format!("/services/{service}/versions/{version}");
    Ok(session.client.get(&path).await?)
}

/// What differs in content. A version has no binding and no flag, so both sides get the same.
fn between(before: &Version, after: &Version) -> Result<Changes, Failure> {
    let parse = |version: &Version| {
        Definition::parse(&version.definition, None).map_err(|problems| {
            let first = problems
                .first()
                .map(ToString::to_string)
                .unwrap_or_default();
            Failure::Other(format!(
                "cannot compare version {}: this program does not understand it ({first})",
                version.version
            ))
        })
    };
    let (before, after) = (parse(before)?, parse(after)?);
    let anywhere = Binding::parse(&json!({"nodes": [{"host": "anywhere"}]}))
        .map_err(|_| Failure::Other("cannot compare versions".to_owned()))?;
    let side = |definition| {
        Some(Side {
            definition,
            binding: &anywhere.content,
            enabled: true,
        })
    };
    Ok(Difference::between(side(&before.content), side(&after.content)).into())
}

fn usage(what: &str) -> Failure {
    Failure::Usage(format!(
        "{what}: diff takes SERVICE GROUP GROUP, GROUP GROUP, or SERVICE@VERSION SERVICE@VERSION"
    ))
}

/// Pages of a comparison that are read, of a thousand services each.
const PAGES_MAX: usize = 100;
/// Definitions that are read to show paths.
const READS_MAX: usize = 64;

#[cfg(test)]
mod tests;
