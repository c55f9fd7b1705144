//! Gateway groups.

use ferryway_api::Group;
use ferryway_api::body::GroupBody;
use serde_json::json;

use super::resource;
use crate::args::{Document, GroupCommand, GroupFields};
use crate::document;
use crate::exit::{Exit, Failure};
use crate::session::Session;

pub(super) async fn run(session: &Session, command: GroupCommand) -> Result<Exit, Failure> {
    match command {
        GroupCommand::List(listing) => {
            let path = resource::narrowed(ALL, &listing);
            let none = "no gateway groups; make one with `ferryway group create NAME`";
            resource::list::<Group>(session, &path, none).await
        }
        GroupCommand::Get { name } => resource::get(session, &format!("{ALL}/{name}")).await,
        GroupCommand::Create {
            name,
            fields,
            document,
        } => create(session, name.as_ref().map(AsRef::as_ref), fields, &document).await,
        GroupCommand::Edit { name, document } => {
            let (path, what) = (format!("{ALL}/{name}"), format!("gateway group {name}"));
            resource::edit(session, &path, &what, &document, ADDED).await
        }
        GroupCommand::ConfirmShrink { name } => {
            let path = format!("{ALL}/{name}/confirm-shrink");
            let group: Group = session.client.post(&path, &json!({})).await?;
            session.screen.show(&group, |_| {
                format!(
                    "the view of {name} is confirmed, revision {}\n",
                    group.revision
                )
            })?;
            Ok(Exit::Done)
        }
        GroupCommand::Delete { name } => {
            let (path, what) = (format!("{ALL}/{name}"), format!("gateway group {name}"));
            resource::delete(session, &path, &what).await
        }
    }
}

async fn create(
    session: &Session,
    name: Option<&str>,
    fields: GroupFields,
    document: &Document,
) -> Result<Exit, Failure> {
    let group: Group = if let Some(file) = &document.file {
        let source = document::read(file)?;
        let body = document::named(source.value().clone(), name)?;
        let posted = session.client.post::<Group>(ALL, &body).await;
        posted.map_err(|error| source.blame(error.into()))?
    } else {
        let body = GroupBody {
            name: name.map(str::to_owned),
            title: fields.title,
            enforce_publishing: fields.enforce_publishing.then_some(true),
            ..GroupBody::default()
        };
        session.client.post(ALL, &body).await?
    };
    session.screen.show(&group, |_| {
        format!("gateway group {} is made\n", group.name)
    })?;
    Ok(Exit::Done)
}

const ALL: &str = "/gateway-groups";
const ADDED: &[&str] = &["revision", "root", "instances"];
