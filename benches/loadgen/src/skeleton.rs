//! What libbpf-cargo generated for the BPF programs.
#![expect(
    unsafe_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "generated"
)]

pub(crate) mod send {
    include!(concat!(env!("OUT_DIR"), "/send.skel.rs"));
}

pub(crate) mod receive {
    include!(concat!(env!("OUT_DIR"), "/receive.skel.rs"));
}

pub(crate) mod forward {
    include!(concat!(env!("OUT_DIR"), "/forward.skel.rs"));
}
