//! The functions of `shim/` and the structures that go through them. Fields and order are the shim's.

use super::flow::FlowMatch;
use super::mbuf::Mbuf;
use std::ffi::{c_char, c_int, c_void};

/// The device hashes packets to queues.
pub(super) const CAN_RSS: u32 = 1;
/// The device receives a packet into several buffers.
pub(super) const CAN_SCATTER: u32 = 2;
/// The device sends a packet out of several buffers.
pub(super) const CAN_SEND_SEGMENTS: u32 = 4;
/// The device checks IPv4, TCP and UDP checksums.
pub(super) const CAN_CHECKSUM: u32 = 8;

/// The device counts what a rule drops.
pub(super) const FLOW_COUNTS: u32 = 1;
/// A rule leaves TCP segments with SYN, FIN or RST alone.
pub(super) const FLOW_KEEPS_ENDS: u32 = 2;

/// `struct pc_port_info`.
#[derive(Debug)]
#[repr(C)]
pub(super) struct PortInfo {
    pub(super) driver: [c_char; 32],
    pub(super) max_queues: u32,
    pub(super) max_mtu: u32,
    pub(super) mtu: u32,
    pub(super) socket: i32,
    pub(super) flags: u32,
    pub(super) key_size: u32,
}

/// `struct pc_port_config`.
#[derive(Debug)]
#[repr(C)]
pub(super) struct PortConfig {
    pub(super) queues: u16,
    pub(super) rx_descriptors: u16,
    pub(super) tx_descriptors: u16,
    pub(super) mtu: u16,
    pub(super) wanted: u32,
    pub(super) promiscuous: u16,
    pub(super) room_for_tags: u16,
}

/// `struct pc_xstat`.
#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct ExtendedStat {
    pub(super) name: [c_char; 64],
    pub(super) value: u64,
}

unsafe extern "C" {
    pub(super) fn pc_eal_init(count: c_int, arguments: *mut *mut c_char) -> c_int;
    pub(super) fn pc_eal_cleanup();
    pub(super) safe fn pc_version() -> *const c_char;
    pub(super) safe fn pc_strerror(error: c_int) -> *const c_char;
    pub(super) fn pc_thread_register() -> c_int;
    pub(super) fn pc_thread_unregister();

    pub(super) fn pc_pool_create(
        name: *const c_char,
        size: u32,
        cache: u32,
        room: u16,
        socket: c_int,
    ) -> *mut c_void;
    pub(super) fn pc_pool_free(pool: *mut c_void);
    pub(super) fn pc_pool_available(pool: *const c_void) -> u32;
    pub(super) fn pc_alloc(pool: *mut c_void, length: u16, out: *mut Mbuf) -> c_int;
    pub(super) fn pc_free(mbuf: *mut c_void);
    pub(super) fn pc_chain(head: *mut c_void, tail: *mut c_void, out: *mut Mbuf) -> c_int;
    pub(super) fn pc_gather(mbuf: *const c_void, into: *mut u8, length: u32);
    pub(super) fn pc_scatter(mbuf: *mut c_void, from: *const u8, length: u32);

    pub(super) fn pc_rx(port: u16, queue: u16, out: *mut Mbuf, count: u16) -> u16;
    pub(super) fn pc_tx(port: u16, queue: u16, packets: *const Mbuf, count: u16) -> u16;

    pub(super) fn pc_port_by_name(name: *const c_char, port: *mut u16) -> c_int;
    pub(super) fn pc_port_info(port: u16, out: *mut PortInfo) -> c_int;
    pub(super) fn pc_port_configure(port: u16, config: *mut PortConfig) -> c_int;
    pub(super) fn pc_port_start(port: u16, config: *const PortConfig, pool: *mut c_void) -> c_int;
    pub(super) fn pc_port_stop(port: u16);
    pub(super) fn pc_port_close(port: u16);
    pub(super) fn pc_port_link(port: u16) -> u32;
    pub(super) fn pc_port_losses(port: u16, out: *mut u64) -> c_int;
    pub(super) fn pc_port_xstats(port: u16, out: *mut ExtendedStat, room: u32) -> c_int;

    pub(super) fn pc_flow_validate(
        port: u16,
        flow: *const FlowMatch,
        wanted: u32,
        why: *mut c_char,
        room: u32,
    ) -> c_int;
    pub(super) fn pc_flow_create(
        port: u16,
        flow: *const FlowMatch,
        wanted: u32,
        rule: *mut *mut c_void,
        why: *mut c_char,
        room: u32,
    ) -> c_int;
    pub(super) fn pc_flow_destroy(port: u16, rule: *mut c_void) -> c_int;
    pub(super) fn pc_flow_query(port: u16, rule: *mut c_void, counts: *mut u64) -> c_int;

    #[cfg(feature = "rings")]
    pub(super) fn pc_ring_ports(name: *const c_char, queues: u16, size: u32) -> c_int;
}
