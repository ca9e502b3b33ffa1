//! What libbpf-cargo generated for `tuple_probe.bpf.c`.
#![expect(
    unsafe_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "generated"
)]

include!(concat!(env!("OUT_DIR"), "/tuple_probe.skel.rs"));
