//! What a caller asks for, its body read and its names not yet looked up.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::binding::Binding;
use crate::definition::{Definition, Sealed};
use crate::digest::Digest;
use crate::name::{Name, VersionNumber};

/// A change that a caller asks for.
#[derive(Clone, Debug)]
pub enum Request {
    /// Make a version of the hub's definition and run it in groups.
    Publish {
        /// The service, from the URL.
        service: Name,
        /// The new number.
        version: VersionNumber,
        /// Where; in the body's order.
        groups: Vec<Target>,
        /// The hub's digest that the caller saw.
        expect_digest: Option<Digest>,
    },
    /// Run in other groups what a source runs now.
    Sync {
        /// The source, from the URL.
        source: Name,
        /// What; in the body's order.
        services: Vec<SyncService>,
        /// Where; in the body's order.
        to: Vec<Target>,
        /// Which of the two calls it is.
        form: SyncForm,
    },
    /// Run what ran there before.
    Rollback {
        /// The group, from the URL.
        group: Name,
        /// The service, from the URL.
        service: Name,
        /// To what.
        to: RollbackTo,
        /// Whether the binding of that time comes back too.
        with_binding: bool,
    },
    /// Change the binding, the flag, or both.
    Set {
        /// The group, from the URL.
        group: Name,
        /// The service, from the URL.
        service: Name,
        /// The new binding.
        binding: Option<Arc<Sealed<Binding>>>,
        /// Whether it shall serve.
        enabled: Option<bool>,
    },
    /// Replace the definition in its group.
    Edit {
        /// The group, from the URL.
        group: Name,
        /// The service, from the URL.
        service: Name,
        /// The new definition.
        definition: Arc<Sealed<Definition>>,
    },
    /// Take the service out of the group.
    Unpublish {
        /// The group, from the URL.
        group: Name,
        /// The service, from the URL.
        service: Name,
    },
}

/// A group that a call names, with the bindings for it.
#[derive(Clone, Debug)]
pub struct Target {
    /// The group.
    pub group: Name,
    /// A binding for each service that shall not keep its own.
    pub bindings: BTreeMap<Name, Arc<Sealed<Binding>>>,
}

/// A service that a sync names.
#[derive(Clone, Debug)]
pub struct SyncService {
    /// The service.
    pub service: Name,
    /// The new number, for a source in No Version state.
    pub version: Option<VersionNumber>,
    /// The version that the caller saw.
    pub expect_version: Option<VersionNumber>,
    /// The digest that the caller saw.
    pub expect_digest: Option<Digest>,
}

/// Which of the two sync calls it is: they differ in where a problem's place lies in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncForm {
    /// One service, named by the URL.
    One,
    /// Several services, named in the body.
    Several,
}

/// What a rollback goes back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RollbackTo {
    /// The latest content that ran under this number.
    Version(VersionNumber),
    /// The content of this digest.
    Digest(Digest),
}

impl RollbackTo {
    /// Whether content that ran under this version is what is meant.
    #[must_use]
    pub fn names(&self, version: Option<&VersionNumber>, definition: Digest) -> bool {
        match self {
            Self::Version(number) => version == Some(number),
            Self::Digest(digest) => definition == *digest,
        }
    }
}
