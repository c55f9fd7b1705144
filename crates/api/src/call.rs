//! How the bodies of the operations' calls are read: each becomes a [`Request`] and its options, or
//! every problem in it with its place.
//!
//! Names are read here, not looked up: whether a group, service, version or registry is there, the
//! plan says.

mod parts;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use ferryway_model::plan::{OperationKind, Request, RollbackTo, SyncForm, SyncService, Target};
use ferryway_model::{At, Class, Code, Definition, Digest, Name, Object, Problem, Walk};
use ferryway_model::{Binding, limits::SERVICES_IN_CALL_MAX};
use serde_json::Value;

pub(crate) use parts::read_options;
use parts::{read_binding, read_services, read_targets};

/// A call that was read.
#[derive(Clone, Debug)]
pub struct Call {
    /// What the caller asks for.
    pub request: Request,
    /// How it shall be done.
    pub options: CallOptions,
}

/// How a call shall be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallOptions {
    /// Only say what it would do.
    pub dry_run: bool,
    /// The plan that the caller saw; the call is refused if the plan is another one by now.
    pub expect_plan: Option<Digest>,
}

/// A call that cannot become a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadCall {
    /// What sort of operation it would have been.
    pub kind: OperationKind,
    /// Everything that is wrong with it.
    pub problems: Vec<Problem>,
    /// The options, as far as they could be read.
    pub options: CallOptions,
}

impl Call {
    /// Reads the body of a publish: `{version, groups: [{group, binding?}], expect_digest?,
    /// rollout?, supersede?, dry_run?, expect_plan?}`.
    ///
    /// # Errors
    /// All problems, each with its place.
    pub fn publish(body: &Value, service: &Name) -> Result<Self, BadCall> {
        read(OperationKind::Publish, body, |walk, object| {
            let version = object.need(walk, "version");
            let version = version.and_then(|v| walk.parsed(v, &object.field("version")));
            let expect_digest = parts::read_parsed(walk, object, "expect_digest");
            let groups = read_targets(walk, object, "groups", |walk, target| {
                read_binding(walk, target, service)
            });
            Some(Request::Publish {
                service: service.clone(),
                version: version?,
                groups: groups?,
                expect_digest,
            })
        })
    }

    /// Reads the body of a sync of one service: `{to: [{group, binding?}], version?,
    /// expect_version?, expect_digest?, rollout?, supersede?, dry_run?, expect_plan?}`.
    ///
    /// # Errors
    /// All problems, each with its place.
    pub fn sync_service(body: &Value, source: &Name, service: &Name) -> Result<Self, BadCall> {
        read(OperationKind::Sync, body, |walk, object| {
            let one = SyncService {
                service: service.clone(),
                version: parts::read_parsed(walk, object, "version"),
                expect_version: parts::read_parsed(walk, object, "expect_version"),
                expect_digest: parts::read_parsed(walk, object, "expect_digest"),
            };
            let to = read_targets(walk, object, "to", |walk, target| {
                read_binding(walk, target, service)
            });
            Some(Request::Sync {
                source: source.clone(),
                services: vec![one],
                to: to?,
                form: SyncForm::One,
            })
        })
    }

    /// Reads the body of a sync of several services: `{services: [{service, version?,
    /// expect_version?, expect_digest?}], to: [{group, bindings: {service: binding}}], rollout?,
    /// supersede?, dry_run?, expect_plan?}`.
    ///
    /// # Errors
    /// All problems, each with its place.
    pub fn sync_group(body: &Value, source: &Name) -> Result<Self, BadCall> {
        read(OperationKind::Sync, body, |walk, object| {
            let services = read_services(walk, object);
            let to = read_targets(walk, object, "to", read_bindings);
            Some(Request::Sync {
                source: source.clone(),
                services: services?,
                to: to?,
                form: SyncForm::Several,
            })
        })
    }

    /// Reads the body of a rollback: `{version | digest, with_binding?, rollout?, supersede?,
    /// dry_run?, expect_plan?}`.
    ///
    /// # Errors
    /// All problems, each with its place.
    pub fn rollback(body: &Value, group: &Name, service: &Name) -> Result<Self, BadCall> {
        read(OperationKind::Rollback, body, |walk, object| {
            let to = read_rollback_to(walk, object);
            let with_binding = parts::read_flag(walk, object, "with_binding");
            Some(Request::Rollback {
                group: group.clone(),
                service: service.clone(),
                to: to?,
                with_binding,
            })
        })
    }

    /// Reads the body of a PATCH of a published service: `{binding?, enabled?}`, at least one of
    /// them. The binding is replaced whole. Its options are in the query.
    ///
    /// # Errors
    /// All problems, each with its place.
    pub fn set(
        body: &Value,
        group: &Name,
        service: &Name,
        options: CallOptions,
    ) -> Result<Self, BadCall> {
        let mut walk = Walk::new();
        let request = walk.object(body, At::Root).map(|mut object| {
            let given = object.has("binding") || object.has("enabled");
            let binding = not_null(&mut walk, &mut object, "binding")
                .and_then(|value| Binding::read(&mut walk, value, object.field("binding")));
            let enabled = not_null(&mut walk, &mut object, "enabled");
            let enabled = enabled.and_then(|v| walk.flag(v, &object.field("enabled")));
            same_service(&mut walk, &mut object, service);
            object.finish(&mut walk, ADDED_BY_ANSWERS);
            if !given {
                let message = "changes nothing; give binding, enabled, or both";
                walk.note(Code::Required, &At::Root, message);
            }
            Request::Set {
                group: group.clone(),
                service: service.clone(),
                binding: binding.map(|binding| Arc::new(binding.seal())),
                enabled,
            }
        });
        let kind = if body.get("binding").is_some() {
            OperationKind::Binding
        } else if body.get("enabled") == Some(&Value::Bool(false)) {
            OperationKind::Disable
        } else {
            OperationKind::Enable
        };
        done(kind, walk.finish(request), options)
    }

    /// Reads the body of a PUT of a published service's definition. Its options are in the query.
    ///
    /// # Errors
    /// All problems, each with its place.
    pub fn edit(
        body: &Value,
        group: &Name,
        service: &Name,
        options: CallOptions,
    ) -> Result<Self, BadCall> {
        let request = Definition::parse(body, Some(service)).map(|definition| Request::Edit {
            group: group.clone(),
            service: service.clone(),
            definition: Arc::new(definition),
        });
        done(OperationKind::Edit, request, options)
    }
}

impl BadCall {
    /// Whether the body could at least be read as what it should be. Only then can a dry run
    /// answer with the problems inside.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.problems
            .iter()
            .all(|problem| problem.code.class() != Class::Unreadable)
    }
}

/// What an answer of a published service adds by itself; ignored when it is sent back.
const ADDED_BY_ANSWERS: &[&str] = &["title", "version", "digest", "rollout", "convergence"];

/// The URL names the service; a body that names another is about something else.
fn same_service(walk: &mut Walk, object: &mut Object<'_>, service: &Name) {
    if let Some(value) = object.take("service")
        && let Some(name) = walk.parsed::<Name>(value, &object.field("service"))
        && name != *service
    {
        let message =
            format!("is {name:?}, but this is about {service:?}; leave it out or make them equal");
        walk.note(Code::NameMismatch, &object.field("service"), message);
    }
}

/// Reads a body with the fields that `fields` takes and those that all such bodies share.
fn read<'v>(
    kind: OperationKind,
    body: &'v Value,
    fields: impl FnOnce(&mut Walk, &mut Object<'v>) -> Option<Request>,
) -> Result<Call, BadCall> {
    let mut walk = Walk::new();
    let mut options = CallOptions::default();
    let request = walk.object(body, At::Root).and_then(|mut object| {
        let request = fields(&mut walk, &mut object);
        options = read_options(&mut walk, &mut object);
        object.finish(&mut walk, &[]);
        request
    });
    done(kind, walk.finish(request), options)
}

fn done(
    kind: OperationKind,
    request: Result<Request, Vec<Problem>>,
    options: CallOptions,
) -> Result<Call, BadCall> {
    match request {
        Ok(request) => Ok(Call { request, options }),
        Err(problems) => Err(BadCall {
            kind,
            problems,
            options,
        }),
    }
}

fn read_rollback_to(walk: &mut Walk, object: &mut Object<'_>) -> Option<RollbackTo> {
    let given = (object.take("version"), object.take("digest"));
    match given {
        (Some(version), None) => {
            let version = walk.parsed(version, &object.field("version"))?;
            Some(RollbackTo::Version(version))
        }
        (None, Some(digest)) => {
            let digest = walk.parsed(digest, &object.field("digest"))?;
            Some(RollbackTo::Digest(digest))
        }
        (None, None) => {
            let message =
                "needs exactly one of version and digest; the history names what there is";
            walk.note(Code::Required, &At::Root, message);
            None
        }
        (Some(_), Some(_)) => {
            let message = "has version and digest; exactly one may be given";
            walk.note(Code::Invalid, &At::Root, message);
            None
        }
    }
}

/// Reads the bindings of a target by service: one for each that shall not keep its own.
fn read_bindings(walk: &mut Walk, target: &mut Object<'_>) -> Option<Target> {
    let group = parts::read_group(walk, target);
    let mut bindings = BTreeMap::new();
    if let Some(value) = target.take("bindings") {
        let at = target.field("bindings");
        let Value::Object(map) = value else {
            return walk.wrong_type(&at, "an object of bindings by service", value);
        };
        if map.len() > SERVICES_IN_CALL_MAX {
            let message = format!(
                "has {} bindings; at most {SERVICES_IN_CALL_MAX} are allowed",
                map.len()
            );
            walk.note(Code::LimitExceeded, &at, message);
            return None;
        }
        for (key, value) in map {
            let place = At::Field(&at, key);
            let service: Option<Name> = walk.parsed(&Value::String(key.clone()), &place);
            let binding = Binding::read(walk, value, place);
            if let (Some(service), Some(binding)) = (service, binding) {
                bindings.insert(service, Arc::new(binding.seal()));
            }
        }
    }
    Some(Target {
        group: group?,
        bindings,
    })
}

/// Takes a field of a merge patch that can be replaced but not removed.
fn not_null<'v>(walk: &mut Walk, object: &mut Object<'v>, name: &'static str) -> Option<&'v Value> {
    let value = object.take_nullable(name)?;
    if value.is_null() {
        let message = "can't be removed; give another value, or leave the field out to keep it";
        walk.note(Code::Invalid, &object.field(name), message);
        return None;
    }
    Some(value)
}
