//! Services: in the hub, as versions, and as groups run them.

use std::path::Path;

use ferryway_api::{HistoryEntry, PublishedService, Service, Version};
use ferryway_model::Name;
use http::Method;
use serde_json::Value;

use super::change::{Change, query};
use super::resource::{self, said};
use crate::args::{Document, Listing, Preview, ServiceCommand, ServiceVersion, Waiting};
use crate::document;
use crate::exit::{Exit, Failure};
use crate::session::Session;

pub(super) async fn run(session: &Session, command: ServiceCommand) -> Result<Exit, Failure> {
    match command {
        ServiceCommand::List { group, listing } => list(session, group.as_ref(), &listing).await,
        ServiceCommand::Get {
            service,
            group,
            definition,
        } => get(session, &service, group.as_ref(), definition).await,
        ServiceCommand::Create { name, file } => create(session, name.as_ref(), &file).await,
        ServiceCommand::Edit {
            service,
            group: None,
            document,
            preview,
            waiting: _,
        } => edit_in_hub(session, &service, &document, &preview).await,
        ServiceCommand::Edit {
            service,
            group: Some(group),
            document,
            preview,
            waiting,
        } => edit_in_place(session, &service, &group, &document, &preview, &waiting).await,
        ServiceCommand::Delete { service } => {
            let (path, what) = (one(&service), format!("service {service}"));
            resource::delete(session, &path, &what).await
        }
        ServiceCommand::Versions { service } => {
            let none = format!("{service} was never published");
            let path = format!("{}/versions", one(&service));
            resource::list::<Version>(session, &path, &none).await
        }
        ServiceCommand::History { service, group } => {
            let none = format!("{service} never ran in {group}");
            let path = format!("{}/history", published(&group, &service));
            resource::list::<HistoryEntry>(session, &path, &none).await
        }
    }
}

async fn list(session: &Session, group: Option<&Name>, listing: &Listing) -> Result<Exit, Failure> {
    match group {
        Some(group) => {
            let path = resource::narrowed(&format!("/gateway-groups/{group}/services"), listing);
            let none = format!(
                "no service is published in {group}; see `ferryway publish --help` and `ferryway \
                 sync --help`"
            );
            resource::list::<PublishedService>(session, &path, &none).await
        }
        None => {
            let none = "no services in the hub; make one with `ferryway service create -f FILE`";
            resource::list::<Service>(session, &resource::narrowed(ALL, listing), none).await
        }
    }
}

async fn get(
    session: &Session,
    service: &ServiceVersion,
    group: Option<&Name>,
    definition: bool,
) -> Result<Exit, Failure> {
    let ServiceVersion { service, version } = service;
    let path = match (version, group) {
        (None, None) => one(service),
        (Some(version), None) => format!("{}/versions/{version}", one(service)),
        (None, Some(group)) if definition => {
            format!("{}/definition", published(group, service))
        }
        (None, Some(group)) => published(group, service),
        (Some(_), Some(_)) => {
            return Err(Failure::Usage(
                "a version is the same in every group: leave --in or @VERSION out".to_owned(),
            ));
        }
    };
    resource::get(session, &path).await
}

async fn create(session: &Session, name: Option<&Name>, file: &Path) -> Result<Exit, Failure> {
    let source = document::read(file)?;
    let body = document::named(source.value().clone(), name.map(AsRef::as_ref))?;
    let posted = session.client.post(ALL, &body).await;
    let service: Service = posted.map_err(|error| source.blame(error.into()))?;
    made(session, &service, &body)
}

/// Makes a service in the hub that no file has.
pub(super) async fn make(session: &Session, body: &Value) -> Result<Exit, Failure> {
    let service: Service = session.client.post(ALL, body).await?;
    made(session, &service, body)
}

fn made(session: &Session, service: &Service, body: &Value) -> Result<Exit, Failure> {
    session.screen.show(service, |_| {
        let name = body["name"].as_str().unwrap_or_default();
        format!("service {name} is in the hub; run it with `ferryway publish {name}`\n")
    })?;
    Ok(Exit::Done)
}

async fn edit_in_hub(
    session: &Session,
    service: &Name,
    document: &Document,
    preview: &Preview,
) -> Result<Exit, Failure> {
    if preview.dry_run || preview.expect_plan.is_some() {
        return Err(Failure::Usage(
            "the hub serves nothing, so there is no plan: --dry-run and --expect-plan go with --in"
                .to_owned(),
        ));
    }
    let what = format!("service {service}");
    resource::edit(session, &one(service), &what, document, ADDED).await
}

async fn edit_in_place(
    session: &Session,
    service: &Name,
    group: &Name,
    document: &Document,
    preview: &Preview,
    waiting: &Waiting,
) -> Result<Exit, Failure> {
    let path = format!("{}/definition", published(group, service));
    let put = Change::new(Method::PUT, format!("{path}{}", query(preview)));
    if let Some(file) = &document.file {
        let source = document::read(file)?;
        let put = put.body(source.value())?;
        let delivered = put.deliver(session, preview, waiting).await;
        return delivered.map_err(|failure| source.blame(failure));
    }
    let what = format!("{service} in {group}");
    let (etag, before) = resource::to_edit(session, &path, ADDED).await?;
    let Some(edited) = document::edit(&what, &before)? else {
        return said(session, &format!("{what} stays as it is"));
    };
    let after: Value = edited.value()?;
    let delivered = put
        .if_match(etag)
        .body(&after)?
        .deliver(session, preview, waiting)
        .await;
    match delivered {
        Ok(exit) => {
            if preview.dry_run {
                edited.keep_for_later();
            }
            Ok(exit)
        }
        Err(failure) => Err(edited.keep(failure)),
    }
}

fn one(service: &Name) -> String {
    format!("{ALL}/{service}")
}

fn published(group: &Name, service: &Name) -> String {
    format!("/gateway-groups/{group}/services/{service}")
}

const ALL: &str = "/services";
const ADDED: &[&str] = &[
    "schema",
    "digest",
    "created_at",
    "created_by",
    "updated_at",
    "updated_by",
    "versions",
    "running_in",
];
