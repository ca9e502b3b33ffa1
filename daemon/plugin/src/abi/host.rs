//! What a plugin may call.

use super::{Flow, Packet, Setup};
use std::ffi::{c_char, c_void};

/// One end of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Endpoint {
    /// The address in network byte order; IPv4 in its mapped form, `::ffff:a.b.c.d`.
    pub address: [u8; 16],
    /// The port; 0 where the protocol has none.
    pub port: u16,
}

/// Packets and bytes in one direction of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Counts {
    /// Packets.
    pub packets: u64,
    /// Bytes of their frames, link header included.
    pub bytes: u64,
}

/// A part of a packet's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Span {
    /// Where it begins.
    pub offset: u32,
    /// How long it is.
    pub length: u32,
}

/// What a plugin may call: valid, unchanged, as long as the process. None of the functions blocks or
/// unwinds; with NULL for a flow or a packet they do nothing and give 0.
///
/// `setting` may be called while the plugin is being registered, `log` at any time and on any thread,
/// everything else only during a call that was passed the flow or the packet, with that pointer. Times are
/// in nanoseconds since 1970-01-01.
#[derive(Debug)]
#[repr(C)]
pub struct Host {
    /// The version of the ABI that the host speaks.
    pub abi_version: u32,
    /// The size of this table: what is beyond it is not there.
    pub size: u32,

    /// The value of a setting in `[plugins.config.NAME]`, NUL-terminated UTF-8; NULL where it is not set. Valid
    /// until registering returns. A setting that is there and never asked for is an error.
    pub setting: unsafe extern "C" fn(setup: *const Setup, key: *const c_char) -> *const c_char,
    /// Writes a line (NUL-terminated UTF-8) to the log, of a level of `PortcullisLogLevel`. It may wait for
    /// the log: not for every packet.
    pub log: unsafe extern "C" fn(level: u32, text: *const c_char),

    /// The engine's time, which never goes back; in a replay that of the capture.
    pub flow_now: unsafe extern "C" fn(flow: *const Flow) -> u64,
    /// Unique in the process and across its restarts, 1 to 2^53 - 1: `flow_id` of records.
    pub flow_id: unsafe extern "C" fn(flow: *const Flow) -> u64,
    /// Who sent its first packet.
    pub flow_client: unsafe extern "C" fn(flow: *const Flow) -> Endpoint,
    /// The other end.
    pub flow_server: unsafe extern "C" fn(flow: *const Flow) -> Endpoint,
    /// 4 or 6.
    pub flow_ip_version: unsafe extern "C" fn(flow: *const Flow) -> u8,
    /// The protocol (IANA number).
    pub flow_protocol: unsafe extern "C" fn(flow: *const Flow) -> u8,
    /// Writes up to 3 VLAN ids of its first packet to `ids`, outermost first; gives how many.
    pub flow_vlans: unsafe extern "C" fn(flow: *const Flow, ids: *mut u16) -> u32,
    /// The port its first packet came in on; ports of pair n are 2n and 2n+1.
    pub flow_ingress: unsafe extern "C" fn(flow: *const Flow) -> u8,
    /// A state of `PortcullisFlowState`.
    pub flow_state: unsafe extern "C" fn(flow: *const Flow) -> u32,
    /// A reason of `PortcullisEndReason`.
    pub flow_end_reason: unsafe extern "C" fn(flow: *const Flow) -> u32,
    /// Bits of `PortcullisFlowFlags`.
    pub flow_flags: unsafe extern "C" fn(flow: *const Flow) -> u32,
    /// When its first packet was seen.
    pub flow_start: unsafe extern "C" fn(flow: *const Flow) -> u64,
    /// When its last packet was seen.
    pub flow_last_seen: unsafe extern "C" fn(flow: *const Flow) -> u64,
    /// Packets and bytes in a direction of `PortcullisDirection`.
    pub flow_counts: unsafe extern "C" fn(flow: *const Flow, direction: u32) -> Counts,
    /// How many seconds it may be idle; 0 where `flow-timeouts` decides.
    pub flow_idle_timeout: unsafe extern "C" fn(flow: *const Flow) -> u32,
    /// The bytes of a storage beside the flow, aligned to 8, to be read and written during the call; NULL
    /// where there is no storage of this number.
    pub flow_storage: unsafe extern "C" fn(flow: *mut Flow, storage: u32) -> *mut c_void,

    /// Sets how many seconds it may be idle, at most 22 days, beyond nine hours rounded up to minutes; 0
    /// leaves that to `flow-timeouts` again.
    pub flow_set_idle_timeout: unsafe extern "C" fn(flow: *mut Flow, seconds: u32),
    /// Lets its further packets through uninspected; they are still counted and updated.
    pub flow_bypass: unsafe extern "C" fn(flow: *mut Flow),
    /// Has its packets dropped from this one on, for a reason of `PortcullisDropReason`. False where it was
    /// decided before what happens to them (that stays so), and where there is no such reason. Without the
    /// power to drop (a tap) they pass.
    pub flow_drop: unsafe extern "C" fn(flow: *mut Flow, reason: u32) -> bool,
    /// Lets its packets pass uninspected from this one on. False where it was decided before.
    pub flow_pass: unsafe extern "C" fn(flow: *mut Flow) -> bool,
    /// Has a removal hook run at the end of this flow, in the order of registration. True if that is new,
    /// false if it was registered before or there is none of this number. During a removal hook: one that was
    /// not registered runs too.
    pub flow_register_removal_hook: unsafe extern "C" fn(flow: *mut Flow, hook: u32) -> bool,
    /// Has it not run after all. True if it was registered and has not run.
    pub flow_unregister_removal_hook: unsafe extern "C" fn(flow: *mut Flow, hook: u32) -> bool,
    /// Is the removal hook registered on this flow, run or not?
    pub flow_has_removal_hook: unsafe extern "C" fn(flow: *const Flow, hook: u32) -> bool,

    /// The frame, and its length where `length` points.
    pub packet_bytes: unsafe extern "C" fn(packet: *const Packet, length: *mut usize) -> *const u8,
    /// The frame, to be changed in place: these bytes are sent. It never changes in length; checksums are the
    /// plugin's to keep right. NULL where the packet may only be read (`init`).
    pub packet_bytes_mut: unsafe extern "C" fn(packet: *mut Packet, length: *mut usize) -> *mut u8,
    /// The data behind the headers that are known; empty where there is none.
    pub packet_payload: unsafe extern "C" fn(packet: *const Packet) -> Span,
    /// When it was captured.
    pub packet_timestamp: unsafe extern "C" fn(packet: *const Packet) -> u64,
    /// A direction of `PortcullisDirection`.
    pub packet_direction: unsafe extern "C" fn(packet: *const Packet) -> u32,
    /// The port it came in on.
    pub packet_ingress: unsafe extern "C" fn(packet: *const Packet) -> u8,
    /// Its length on the wire; more than its bytes where the capture cut it.
    pub packet_wire_length: unsafe extern "C" fn(packet: *const Packet) -> u32,
    /// Asks for it to be dropped, for a reason of `PortcullisDropReason`; the first reason counts. False where
    /// the packet may only be read (`init`), and where there is no such reason. Without the power to drop (a
    /// tap) it passes.
    pub packet_drop: unsafe extern "C" fn(packet: *mut Packet, reason: u32) -> bool,
}
