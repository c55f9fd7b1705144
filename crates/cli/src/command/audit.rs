//! Who did what.

use ferryway_api::{AuditEntry, List};

use super::resource;
use crate::args::AuditCommand;
use crate::exit::{Exit, Failure};
use crate::session::Session;

pub(super) async fn run(session: &Session, command: AuditCommand) -> Result<Exit, Failure> {
    let AuditCommand::List { most } = command;
    let path = resource::at_most("/audit", &most);
    let page: List<AuditEntry> = session.client.get(&path).await?;
    resource::show_list(session, &page, "nothing was ever done")
}
