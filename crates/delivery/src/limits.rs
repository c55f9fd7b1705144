//! Bounds of this crate that more than one of its parts keeps.

use std::time::Duration;

/// Most entries of a view that an agent takes.
pub const ENTRIES_MAX: usize = 200_000;
/// Largest transaction that an agent takes, all parts together, plain, in bytes.
pub const TRANSACTION_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most bytes of content that one step of an agent gets, plain: all that a view names, where the
/// agent has nothing. What is beyond them is held.
pub const CONTENT_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Most bytes that the transactions take which wait in an agent, about.
pub const QUEUE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Most transactions that wait in an agent while one is applied. What comes on top is left to a
/// reconcile.
pub const QUEUE_MAX: usize = 256;
/// Most transactions in a feed's log.
pub const LOG_TRANSACTIONS_MAX: usize = 4_096;
/// Most bytes of frames in a feed's log.
pub const LOG_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most bytes of content that ride along with one transaction; the rest is fetched.
pub const INLINE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How often a control plane sends a heartbeat.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// After how many heartbeats' time without a message the other end is taken to be gone.
pub const SILENT_HEARTBEATS: u32 = 3;
/// How long a control plane lets a connection be silent before it asks whether the other end is
/// there (a ping of HTTP/2).
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How long it waits for the answer.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an agent lets its connection be silent before it asks whether the control plane is
/// there. More often than a control plane asks, as there may be another one to go to; a ping costs
/// both ends a few microseconds, so ten thousand agents ask for some hundredths of a core.
pub const PING_EVERY: Duration = Duration::from_secs(2);
/// How long an agent waits for the answer. A packet that is lost is sent again after 0.2, 0.6 and
/// 1.4 s, and a machine that is moved stands still for a second or two: neither is the end of a
/// control plane. So one that is silent is left within 5 s, and one that stalls for less than 3 s is
/// not. One that speaks still, but hears nothing, is left within 7 s: its heartbeat may come right
/// before the ping.
pub const PING_ANSWERED_WITHIN: Duration = Duration::from_secs(3);
/// HTTP/2 window of a stream, in bytes: two parts of a transaction on their way.
pub const STREAM_WINDOW_BYTES: u32 = 2 * 1024 * 1024;
/// HTTP/2 window of a connection, in bytes: a stream and a fetch beside it.
pub const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// When an instance that is not served yet should ask again.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);
