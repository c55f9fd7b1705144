//! Bounds of what a definition, a binding and a call may hold (api.md, "Limits").
//!
//! The control plane and the gateway parse with the same code, so the same bounds hold at both ends.

/// Longest name, in characters.
pub const NAME_CHARS_MAX: usize = 63;
/// Longest version number, in characters.
pub const VERSION_CHARS_MAX: usize = 64;
/// Longest `title`, in bytes of UTF-8.
pub const TITLE_BYTES_MAX: usize = 256;
/// Longest `description`, in bytes of UTF-8.
pub const DESCRIPTION_BYTES_MAX: usize = 8 * 1024;
/// Most labels on one resource.
pub const LABELS_MAX: usize = 64;
/// Longest label key or value, in bytes.
pub const LABEL_BYTES_MAX: usize = 128;
/// Largest request body of the REST API, in bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Deepest nesting of JSON.
pub const JSON_DEPTH_MAX: usize = 32;
/// Largest definition, in bytes of its canonical form.
pub const DEFINITION_BYTES_MAX: usize = 512 * 1024;
/// Most routes of a service.
pub const ROUTES_MAX: usize = 1_000;
/// Most hosts of a service or binding.
pub const HOSTS_MAX: usize = 64;
/// Most checks of a service.
pub const CHECKS_MAX: usize = 32;
/// Most nodes of a binding.
pub const NODES_MAX: usize = 256;
/// Most path patterns of one route.
pub const PATHS_MAX: usize = 64;
/// Most path patterns of all routes of a service together: each is looked for under each host.
pub const PATHS_OF_SERVICE_MAX: usize = 4_000;
/// Most regular expressions of a service: each may take [`REGEX_COMPILED_BYTES_MAX`].
pub const REGEXES_OF_SERVICE_MAX: usize = 500;
/// Most methods of one route.
pub const METHODS_MAX: usize = 32;
/// Most predicates of one route.
pub const PREDICATES_MAX: usize = 16;
/// Most values of one `in` predicate.
pub const PREDICATE_VALUES_MAX: usize = 64;
/// Longest value a predicate or a check compares with, in bytes.
pub const VALUE_BYTES_MAX: usize = 4 * 1024;
/// Most headers a check sends or expects.
pub const CHECK_HEADERS_MAX: usize = 32;
/// Longest path pattern, in bytes.
pub const PATH_BYTES_MAX: usize = 1_024;
/// Most segments of a path pattern.
pub const PATH_SEGMENTS_MAX: usize = 32;
/// Longest regular expression, in bytes of its source.
pub const REGEX_BYTES_MAX: usize = 1_024;
/// Largest compiled regular expression, in bytes.
pub const REGEX_COMPILED_BYTES_MAX: usize = 256 * 1024;
/// Most services in one call.
pub const SERVICES_IN_CALL_MAX: usize = 64;
/// Most groups in one call.
pub const GROUPS_IN_CALL_MAX: usize = 32;
/// Most documents in one call: 64 services in 32 groups, and what they need beside them.
pub const DOCUMENTS_IN_CALL_MAX: usize = 4_096;
/// Most resources that one call names only to keep them.
pub const KEPT_IN_CALL_MAX: usize = 16_384;
/// Most DNS servers of a registry.
pub const REGISTRY_ENDPOINTS_MAX: usize = 16;
/// Most additional tries of a request.
pub const RETRIES_MAX: u64 = 10;
/// Shortest time that a definition may ask for, in milliseconds.
pub const SPAN_MILLIS_MIN: u64 = 1;
/// Longest time that a definition may ask for, in milliseconds: one day.
pub const SPAN_MILLIS_MAX: u64 = 24 * 60 * 60 * 1_000;
/// Most idle connections that an upstream may keep.
pub const IDLE_CONNECTIONS_MAX: u64 = 10_000;
