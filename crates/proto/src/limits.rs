//! Bounds of what a message may hold. Both ends check them: what one end sends within them, the
//! other takes.

/// Largest message in either direction, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What a part of a transaction, or a chunk of content, aims to stay under, in bytes.
pub const PART_BYTES: usize = 1024 * 1024;
/// Most parts of one transaction.
pub const PARTS_MAX: u32 = 256;
/// Largest blob, plain, in bytes: a definition, with room for the envelope.
pub const BLOB_BYTES_MAX: usize = 1024 * 1024;
/// Most digests asked for in one `Fetch`.
pub const FETCH_DIGESTS_MAX: usize = 1_024;
/// Most faults in one `Nack`.
pub const FAULTS_MAX: usize = 256;
/// Most holds named in one `Hello` or `Status`; their number is told in full.
pub const HOLDS_NAMED_MAX: usize = 256;
/// Longest code of a fault or hold, in bytes.
pub const CODE_BYTES_MAX: usize = 64;
/// Longest place of a fault or hold, in bytes.
pub const PATH_BYTES_MAX: usize = 1_024;
/// Longest sentence of a fault or hold, in bytes.
pub const DETAIL_BYTES_MAX: usize = 2 * 1_024;
/// Longest evidence of a fault, in bytes.
pub const EVIDENCE_BYTES_MAX: usize = 8 * 1_024;
/// Longest build and host name, in bytes.
pub const LABEL_BYTES_MAX: usize = 255;
/// Most addresses of an instance.
pub const ADDRESSES_MAX: usize = 16;
/// Most control planes that an instance is sent to.
pub const CONTROLS_MAX: usize = 16;
/// Longest address of a control plane, in bytes: scheme, host and port.
pub const CONTROL_BYTES_MAX: usize = 300;
/// Most forms of definitions that an instance names.
pub const SCHEMAS_MAX: usize = 16;
/// Most plugins that an instance names.
pub const PLUGINS_MAX: usize = 1_024;
/// Longest wait or interval that the control plane may ask for, in milliseconds: one hour.
pub const WAIT_MILLIS_MAX: u32 = 60 * 60 * 1_000;
/// Most instances in one message between control planes.
pub const PLANES_INSTANCES_MAX: usize = 256;
/// Most held services of one instance that control planes tell each other.
pub const PLANES_HELD_MAX: usize = 16_384;
/// Longest sentence about a held service, in bytes: a place and a detail.
pub const PLANES_MESSAGE_TEXT_MAX: usize = PATH_BYTES_MAX + DETAIL_BYTES_MAX + 2;
/// Most revisions of one instance of which control planes tell each other what checks found.
pub const PLANES_WARNINGS_MAX: usize = 8;
/// What a message between control planes aims to stay under, in bytes.
pub const PLANES_PART_BYTES: usize = 1024 * 1024;
/// Largest message between control planes, in bytes.
pub const PLANES_MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Longest join token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 512;
/// Longest certificate and certificate request, in bytes.
pub const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;
/// Most certificates in a chain, and most authorities.
pub const CERTIFICATES_MAX: usize = 16;
