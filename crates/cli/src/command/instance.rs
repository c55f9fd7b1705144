//! Gateway instances.

use ferryway_api::Instance;
use ferryway_api::client::escape;
use ferryway_model::Name;

use super::resource;
use crate::args::InstanceCommand;
use crate::exit::{Exit, Failure};
use crate::session::Session;

pub(super) async fn run(session: &Session, command: InstanceCommand) -> Result<Exit, Failure> {
    match command {
        InstanceCommand::List { group } => {
            let none = format!(
                "no instance of {group} has been heard of; start one with `ferryway-gateway \
                 --group {group}`"
            );
            resource::list::<Instance>(session, &all(&group), &none).await
        }
        InstanceCommand::Get { id, group } => resource::get(session, &one(&group, &id)).await,
        InstanceCommand::Delete { id, group } => {
            let what = format!("instance {id} of {group}");
            resource::delete(session, &one(&group, &id), &what).await
        }
    }
}

fn all(group: &Name) -> String {
    format!("/gateway-groups/{group}/instances")
}

fn one(group: &Name, id: &str) -> String {
    format!("{}/{}", all(group), escape(id))
}
