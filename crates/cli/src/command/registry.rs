//! Service registries of a group.

use ferryway_api::body::RegistryBody;
use ferryway_api::client::{Ask, Require};
use ferryway_api::{ClientError, Registry};
use ferryway_model::Name;
use http::Method;
use serde_json::Value;

use super::resource;
use crate::args::{Document, RegistryCommand, RegistryFields};
use crate::document;
use crate::exit::{Exit, Failure};
use crate::session::Session;

pub(super) async fn run(session: &Session, command: RegistryCommand) -> Result<Exit, Failure> {
    match command {
        RegistryCommand::List { group } => {
            let none = format!(
                "{group} has no registries; make one with `ferryway registry create NAME --in \
                 {group} --kind dns`"
            );
            resource::list::<Registry>(session, &all(&group), &none).await
        }
        RegistryCommand::Get { name, group } => {
            resource::get(session, &one(&group, name.as_ref())).await
        }
        RegistryCommand::Create {
            name,
            group,
            fields,
            document,
        } => create(session, name.as_ref(), &group, fields, &document).await,
        RegistryCommand::Edit {
            name,
            group,
            document,
        } => {
            let what = format!("registry {name} of {group}");
            resource::edit(session, &one(&group, name.as_ref()), &what, &document, &[]).await
        }
        RegistryCommand::Delete { name, group } => {
            let what = format!("registry {name} of {group}");
            resource::delete(session, &one(&group, name.as_ref()), &what).await
        }
    }
}

/// The API has only a PUT for registries, so it says that nothing may be there to be replaced.
async fn create(
    session: &Session,
    name: Option<&Name>,
    group: &Name,
    fields: RegistryFields,
    document: &Document,
) -> Result<Exit, Failure> {
    let source = document.file.as_deref().map(document::read).transpose()?;
    let body = match &source {
        Some(source) => document::named(source.value().clone(), name.map(AsRef::as_ref))?,
        None => from_flags(name, fields)?,
    };
    let name = document::name_in(&body)?;
    let name: Name = name
        .parse()
        .map_err(|error| Failure::Usage(format!("the registry's name {name:?} {error}")))?;
    let path = one(group, name.as_ref());
    let ask = Ask {
        method: Method::PUT,
        path: &path,
        body: Some(&body),
        require: Require::Absent,
    };
    let answer = session.client.call::<Registry>(ask).await;
    let answer = answer.map_err(|error| match (&source, error) {
        (_, ClientError::Refused(details)) if details.status == IS_THERE => {
            Failure::Other(format!(
                "{group} has a registry {name} already; change it with `ferryway registry edit \
                 {name} --in {group}`"
            ))
        }
        (Some(source), error) => source.blame(error.into()),
        (None, error) => error.into(),
    })?;
    let made = format!("registry {name} of {group} is made\n");
    session.screen.show(&answer.body, |_| made)?;
    Ok(Exit::Done)
}

fn from_flags(name: Option<&Name>, fields: RegistryFields) -> Result<Value, Failure> {
    let RegistryFields {
        kind,
        title,
        endpoints,
        empty_after,
    } = fields;
    let body = RegistryBody {
        title,
        kind: kind.unwrap_or_default(),
        endpoints: (!endpoints.is_empty()).then_some(endpoints),
        empty_after,
        ..RegistryBody::default()
    };
    let body = serde_json::to_value(body)
        .map_err(|error| Failure::Other(format!("cannot write the registry: {error}")))?;
    document::named(body, name.map(AsRef::as_ref))
}

fn all(group: &Name) -> String {
    format!("/gateway-groups/{group}/registries")
}

fn one(group: &Name, registry: &str) -> String {
    format!("{}/{registry}", all(group))
}

/// What is required of the resource doesn't hold: that it isn't there.
const IS_THERE: u16 = 412;
