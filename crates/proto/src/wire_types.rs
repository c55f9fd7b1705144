/// What prost and tonic generate from `delivery.proto`.
#[expect(
    clippy::allow_attributes_without_reason,
    clippy::large_enum_variant,
    unused_qualifications,
    reason = "the code is generated; its style is not ours"
)]
pub mod wire {
    tonic::include_proto!("ferryway.delivery.v1");
}

/// What prost and tonic generate from `planes.proto`.
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    unused_qualifications,
    reason = "the code is generated; its style is not ours"
)]
pub mod planes_wire {
    tonic::include_proto!("ferryway.planes.v1");
}
