use ferryway_model::Name;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::DecodeError;
use crate::limits::{ADDRESSES_MAX, HOLDS_NAMED_MAX, LABEL_BYTES_MAX, PLUGINS_MAX, SCHEMAS_MAX};
use crate::position::{Position, position_or_none};
use crate::read::{choice, list, name, required, text, texts, uuid};
use crate::report::HeldEntry;
use crate::wire;

/// The first message of a stream: who the instance is, what it can do, and what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Lowest and highest protocol number it speaks.
    pub protocol: (u32, u32),
    /// Who it is; kept in its data folder.
    pub instance: Uuid,
    /// Rises with each start of the instance.
    pub boot: u64,
    /// The group it belongs to.
    pub group: Name,
    /// The build it runs.
    pub build: String,
    /// The name of its host.
    pub hostname: String,
    /// Where it listens.
    pub addresses: Vec<String>,
    /// Forms of definitions it can load.
    pub schemas: Vec<u32>,
    /// Plugins it has.
    pub plugins: Vec<String>,
    /// What it takes at most.
    pub limits: Limits,
    /// What it should run, as far as it knows.
    pub desired: Option<Position>,
    /// What it runs.
    pub effective: Option<Position>,
    /// The first of its holds.
    pub holds: Vec<HeldEntry>,
    /// How many holds it has.
    pub held: u32,
    /// What it started from.
    pub source: Source,
    /// How often it has dialled since its start, this time included: with `boot` it orders its
    /// streams, also those to different control planes. 0: a build that doesn't count.
    pub attempt: u64,
}

/// What an instance takes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Entries of a view.
    pub entries: u32,
    /// Plain bytes of one blob.
    pub blob_bytes: u32,
    /// Bytes of one transaction, all parts together.
    pub transaction_bytes: u32,
}

/// What an instance started from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Nothing.
    Empty,
    /// What was effective when it ended.
    Disk,
    /// The last good view.
    LastGood,
}

impl From<Hello> for wire::Hello {
    fn from(hello: Hello) -> Self {
        let Hello {
            protocol: (protocol_min, protocol_max),
            instance,
            boot,
            group,
            build,
            hostname,
            addresses,
            schemas,
            plugins,
            limits,
            desired,
            effective,
            holds,
            held,
            source,
            attempt,
        } = hello;
        let Limits {
            entries,
            blob_bytes,
            transaction_bytes,
        } = limits;
        let source = match source {
            Source::Empty => wire::Source::Empty,
            Source::Disk => wire::Source::Disk,
            Source::LastGood => wire::Source::LastGood,
        };
        Self {
            protocol_min,
            protocol_max,
            instance: instance.as_bytes().to_vec().into(),
            boot,
            group: group.as_str().to_owned(),
            build,
            hostname,
            addresses,
            schemas,
            plugins,
            limits: Some(wire::Limits {
                entries,
                blob_bytes,
                transaction_bytes,
            }),
            desired: desired.map(Into::into),
            effective: effective.map(Into::into),
            holds: holds.into_iter().map(Into::into).collect(),
            held,
            source: source.into(),
            attempt,
        }
    }
}

impl TryFrom<wire::Hello> for Hello {
    type Error = DecodeError;

    fn try_from(hello: wire::Hello) -> Result<Self, DecodeError> {
        let wire::Hello {
            protocol_min,
            protocol_max,
            instance,
            boot,
            group,
            build,
            hostname,
            addresses,
            schemas,
            plugins,
            limits,
            desired,
            effective,
            holds,
            held,
            source,
            attempt,
        } = hello;
        let wire::Limits {
            entries,
            blob_bytes,
            transaction_bytes,
        } = required("limits", limits)?;
        Ok(Self {
            protocol: (protocol_min, protocol_max),
            instance: uuid("instance", &instance)?,
            boot,
            group: name("group", &group)?,
            build: text("build", build, LABEL_BYTES_MAX)?,
            hostname: text("hostname", hostname, LABEL_BYTES_MAX)?,
            addresses: texts("addresses", addresses, ADDRESSES_MAX, LABEL_BYTES_MAX)?,
            schemas: list("schemas", schemas, SCHEMAS_MAX, Ok)?,
            plugins: texts("plugins", plugins, PLUGINS_MAX, LABEL_BYTES_MAX)?,
            limits: Limits {
                entries,
                blob_bytes,
                transaction_bytes,
            },
            desired: position_or_none("desired", desired)?,
            effective: position_or_none("effective", effective)?,
            holds: list("holds", holds, HOLDS_NAMED_MAX, HeldEntry::try_from)?,
            held,
            source: choice("source", source, |source| match source {
                wire::Source::Unspecified => None,
                wire::Source::Empty => Some(Source::Empty),
                wire::Source::Disk => Some(Source::Disk),
                wire::Source::LastGood => Some(Source::LastGood),
            })?,
            attempt,
        })
    }
}
