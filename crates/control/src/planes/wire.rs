//! To and from the messages.

use ferryway_proto::{At, HeldService, Standing};
use jiff::Timestamp;

use crate::core::{Held, InstanceRecord, Position, Report};

/// What is told of an instance.
pub(super) fn standing(report: Report) -> Option<Standing> {
    let Report {
        group,
        id,
        session,
        order: (boot, attempt),
        online,
        since,
        record,
        desired,
        effective,
        held,
        warnings,
        schemas,
    } = report;
    let InstanceRecord {
        hostname,
        build,
        addresses,
        last_seen,
    } = record;
    let at = |Position { revision, root }: Position| At { revision, root };
    let held = held.into_iter().map(|(service, held)| {
        let Held {
            digest,
            code,
            message,
            evidence,
        } = held;
        HeldService {
            service,
            digest,
            code,
            message,
            evidence: evidence.map(|evidence| evidence.to_string()),
        }
    });
    let standing = Standing {
        group,
        instance: id.parse().ok()?, // every id is one of an instance that came here
        session,
        boot,
        attempt,
        online,
        since_us: since.as_microsecond(),
        seen_us: last_seen.as_microsecond(),
        hostname,
        build,
        addresses,
        schemas,
        desired: desired.map(at),
        effective: effective.map(at),
        held: held.collect(),
        warnings,
    };
    Some(standing.clipped())
}

/// What was told of an instance. A time that is none is the beginning of time.
pub(super) fn report(standing: Standing) -> Report {
    let Standing {
        group,
        instance,
        session,
        boot,
        attempt,
        online,
        since_us,
        seen_us,
        hostname,
        build,
        addresses,
        schemas,
        desired,
        effective,
        held,
        warnings,
    } = standing;
    let time = |micros| Timestamp::from_microsecond(micros).unwrap_or_default();
    let position = |At { revision, root }: At| Position { revision, root };
    let held = held.into_iter().map(|held| {
        let HeldService {
            service,
            digest,
            code,
            message,
            evidence,
        } = held;
        let evidence = evidence.as_deref().map(crate::core::evidence);
        let held = Held {
            digest,
            code,
            message,
            evidence,
        };
        (service, held)
    });
    Report {
        group,
        id: instance.to_string(),
        session,
        order: (boot, attempt),
        online,
        since: time(since_us),
        record: InstanceRecord {
            hostname,
            build,
            addresses,
            last_seen: time(seen_us),
        },
        desired: desired.map(position),
        effective: effective.map(position),
        held: held.collect(),
        warnings,
        schemas,
    }
}
