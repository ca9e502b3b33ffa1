//! The C ABI, as plain types: what a plugin exports, what it fills in, what it may call. The header
//! `include/portcullis_plugin.h` is made from this module; comments here are those of the header.
//!
//! Nothing here does anything. Layouts of version 1 never change: tables may only grow at their end.

mod host;
mod words;

pub use host::{Counts, Endpoint, Host, Span};
pub use words::{Direction, DropReason, EndReason, FlowFlags, FlowState, LogLevel};

use std::ffi::{c_char, c_void};

/// The version of this ABI. A plugin of another version is not loaded.
pub const ABI_VERSION: u32 = 1;

/// What a function of a plugin returns when all went well. Everything else is a failure.
pub const OK: i32 = 0;

/// What a function of a plugin returns when something went wrong.
pub const FAILED: i32 = 1;

/// Most bytes that one storage of a plugin can have beside each flow.
pub const STORAGE_MOST: u32 = 1024;

/// Bytes of the message that a plugin may leave when it refuses to be registered, the final NUL included.
pub const ERROR_BYTES: usize = 256;

/// Settings of the plugin, while it is being registered.
#[derive(Debug)]
pub struct Setup {
    _opaque: [u8; 0],
}

/// A flow on loan. The pointer is valid during the call it was passed to, and on that thread only.
#[derive(Debug)]
pub struct Flow {
    _opaque: [u8; 0],
}

/// A packet on loan. The pointer is valid during the call it was passed to, and on that thread only.
#[derive(Debug)]
pub struct Packet {
    _opaque: [u8; 0],
}

/// What a plugin is, exported as the constant `portcullis_plugin_descriptor`. It is looked at before
/// any function of the plugin is called.
#[derive(Debug)]
#[repr(C)]
pub struct Descriptor {
    /// The version of the ABI that the plugin was built for.
    pub abi_version: u32,
    /// The size of the host's table as the plugin knows it.
    pub host_size: u32,
    /// The size of the plugin's table as the plugin knows it.
    pub plugin_size: u32,
    /// 0.
    pub reserved: u32,
    /// The plugin's name: 1 to 63 letters, digits, `-` and `_`. It tells plugins apart in the
    /// configuration, in messages and in counters.
    pub name: *const c_char,
    /// The plugin's own version, for messages.
    pub version: *const c_char,
}

/// Runs at the end of the flows on which it was registered, once a flow, after the flow has left the table
/// and before its record is written. What it writes to the flow is still reported.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct RemovalHook {
    /// A name of its own within the plugin, of the same letters as the plugin's.
    pub name: *const c_char,
    /// The function; `hook` is the hook's number, so that one function may serve several.
    pub removed: Option<unsafe extern "C" fn(worker: *mut c_void, flow: *mut Flow, hook: u32) -> i32>,
}

/// Bytes that the plugin wants beside each flow. They are aligned to 8 and 0 when the flow begins.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Storage {
    /// How many: 1 to `PORTCULLIS_STORAGE_MOST`. They are taken from `flow.memcap`.
    pub bytes: u32,
    /// 0.
    pub reserved: u32,
    /// Frees what the bytes stand for; may be NULL. Called once a flow, after `finish`, if any of the bytes is
    /// not 0. Several threads may call it at once, each for flows of its own.
    pub free: Option<unsafe extern "C" fn(bytes: *mut c_void)>,
}

/// What a plugin fills in when it is registered. The host has set all of it to 0; what stays 0 is not
/// there. Names, and the arrays of hooks and storages, must stay valid until `close`.
///
/// Functions that return `int32_t` return `PORTCULLIS_OK`. Anything else is a failure: it is counted, and the
/// hook is not run again on that worker; traffic goes on without it. No function may unwind (throw) or longjmp
/// out of itself.
#[derive(Debug)]
#[repr(C)]
pub struct Plugin {
    /// Anything: passed to `worker_new` and `close`. It is shared by all threads, so what it points to
    /// must be safe to use from several at once.
    pub user: *mut c_void,
    /// Called last of all, once, when no worker is left; not called where registering failed.
    pub close: Option<unsafe extern "C" fn(user: *mut c_void)>,
    /// Makes the state of one worker, and puts it where `state` points. Called for each worker before its
    /// first packet; the thread may be another than the worker's. A worker's state is never shared: its
    /// functions get it one after another. Without `worker_new` every function gets `user`.
    pub worker_new:
        Option<unsafe extern "C" fn(user: *mut c_void, worker: u32, state: *mut *mut c_void) -> i32>,
    /// Frees the state of one worker, after its last flow has ended. On any thread.
    pub worker_free: Option<unsafe extern "C" fn(worker: *mut c_void)>,
    /// A flow was made for this packet. Runs once a flow, before the first `update`.
    pub init:
        Option<unsafe extern "C" fn(worker: *mut c_void, flow: *mut Flow, packet: *const Packet) -> i32>,
    /// A packet of the flow was counted. Runs at every packet, the first included, before rules see it,
    /// for bypassed flows too. It may change the packet's bytes and ask for the packet to be dropped.
    pub update:
        Option<unsafe extern "C" fn(worker: *mut c_void, flow: *mut Flow, packet: *mut Packet) -> i32>,
    /// The flow has ended and its record is written. Runs once a flow.
    pub finish: Option<unsafe extern "C" fn(worker: *mut c_void, flow: *mut Flow) -> i32>,
    /// The removal hooks. A hook's place in this array is its number in calls to the host.
    pub removal_hooks: *const RemovalHook,
    /// The storages. A storage's place in this array is its number in calls to the host.
    pub storages: *const Storage,
    /// How many removal hooks there are.
    pub removal_hook_count: u32,
    /// How many storages there are.
    pub storage_count: u32,
    /// Why the plugin refuses to be registered: UTF-8, ended by a NUL.
    pub error: [c_char; ERROR_BYTES],
}

/// The function that a plugin exports as `portcullis_plugin_register`. It is called once, before any worker
/// starts.
pub type Register = unsafe extern "C" fn(host: *const Host, setup: *const Setup, plugin: *mut Plugin) -> i32;

impl Descriptor {
    /// The sizes of the host's and the plugin's table in the first release of this version: a plugin cannot
    /// know less.
    pub(crate) const FIRST_SIZES: (usize, usize) = (272, 336);
}

/// The size of a table as it is told to the other side.
#[expect(clippy::cast_possible_truncation, reason = "tables have some hundred bytes")]
pub(crate) const fn size_of_table<T>() -> u32 {
    size_of::<T>() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_not_become_smaller() {
        let (host, plugin) = Descriptor::FIRST_SIZES;
        assert!(size_of::<Host>() >= host, "{}", size_of::<Host>());
        assert!(size_of::<Plugin>() >= plugin, "{}", size_of::<Plugin>());
        assert_eq!((size_of::<Descriptor>(), size_of::<RemovalHook>(), size_of::<Storage>()), (32, 16, 16));
    }
}
