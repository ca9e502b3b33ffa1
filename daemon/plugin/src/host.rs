//! The functions that plugins may call, over the flow and the packet that are on loan to them. Never
//! unwinds; a NULL in place of a flow or a packet does nothing.

use crate::abi::{self, Counts, EndReason, Endpoint, FlowFlags, FlowState, Host, LogLevel, Span};
use crate::handle::{FlowHandle, PacketHandle};
use crate::settings::Settings;
use portcullis_capture::DropReason;
use portcullis_flow::flow::Bypass;
use portcullis_flow::{Direction, Flow, FlowAction};
use std::ffi::{CStr, c_char, c_void};
use std::ptr;
use std::time::Duration;

/// The table that every plugin gets.
pub(crate) static HOST: Host = Host {
    abi_version: abi::ABI_VERSION,
    size: abi::size_of_table::<Host>(),
    setting,
    log,
    flow_now,
    flow_id,
    flow_client,
    flow_server,
    flow_ip_version,
    flow_protocol,
    flow_vlans,
    flow_ingress,
    flow_state,
    flow_end_reason,
    flow_flags,
    flow_start,
    flow_last_seen,
    flow_counts,
    flow_idle_timeout,
    flow_storage,
    flow_set_idle_timeout,
    flow_bypass,
    flow_drop,
    flow_pass,
    flow_register_removal_hook,
    flow_unregister_removal_hook,
    flow_has_removal_hook,
    packet_bytes,
    packet_bytes_mut,
    packet_payload,
    packet_timestamp,
    packet_direction,
    packet_ingress,
    packet_wire_length,
    packet_drop,
};

unsafe extern "C" fn setting(setup: *const abi::Setup, key: *const c_char) -> *const c_char {
    // SAFETY: a plugin passes the pointer that its registration was called with, which is to settings that
    // live until that returns.
    let settings = unsafe { setup.cast::<Settings>().as_ref() };
    if key.is_null() {
        return ptr::null();
    }
    // SAFETY: not NULL, so it is a string that ends with a NUL, as the ABI says.
    let key = unsafe { CStr::from_ptr(key) };
    settings.and_then(|settings| settings.ask(key)).map_or(ptr::null(), CStr::as_ptr)
}

unsafe extern "C" fn log(level: u32, text: *const c_char) {
    if text.is_null() {
        return;
    }
    // SAFETY: not NULL, so it is a string that ends with a NUL, as the ABI says.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    match LogLevel::from_number(level) {
        Some(LogLevel::Error) => tracing::error!("{text}"),
        Some(LogLevel::Warning) => tracing::warn!("{text}"),
        Some(LogLevel::Info) | None => tracing::info!("{text}"),
    }
}

/// The flow behind a plugin's pointer; `None` for NULL.
///
/// # Safety
/// The pointer is NULL or was passed to the plugin's function that runs, and no other reference made of it
/// lives.
unsafe fn flow_mut<'h>(flow: *mut abi::Flow) -> Option<&'h mut FlowHandle<'h, 'h>> {
    // SAFETY: as the caller promises; the handle lives as long as the plugin's function runs.
    unsafe { flow.cast::<FlowHandle<'h, 'h>>().as_mut() }
}

/// The same to read.
///
/// # Safety
/// As for [`flow_mut`].
unsafe fn flow_ref<'h>(flow: *const abi::Flow) -> Option<&'h FlowHandle<'h, 'h>> {
    // SAFETY: as the caller promises; the handle lives as long as the plugin's function runs.
    unsafe { flow.cast::<FlowHandle<'h, 'h>>().as_ref() }
}

/// The packet behind a plugin's pointer; `None` for NULL.
///
/// # Safety
/// As for [`flow_mut`].
unsafe fn packet_mut<'h>(packet: *mut abi::Packet) -> Option<&'h mut PacketHandle<'h, 'h, 'h>> {
    // SAFETY: as the caller promises; the handle lives as long as the plugin's function runs.
    unsafe { packet.cast::<PacketHandle<'h, 'h, 'h>>().as_mut() }
}

/// The same to read.
///
/// # Safety
/// As for [`flow_mut`].
unsafe fn packet_ref<'h>(packet: *const abi::Packet) -> Option<&'h PacketHandle<'h, 'h, 'h>> {
    // SAFETY: as the caller promises; the handle lives as long as the plugin's function runs.
    unsafe { packet.cast::<PacketHandle<'h, 'h, 'h>>().as_ref() }
}

/// Functions that take a flow or a packet, and perhaps a number, and give a value.
macro_rules! accessors {
    ($find:ident($thing:ident: $pointer:ty)
     $($name:ident($handle:ident $(, $number:ident)?) -> $value:ty = $read:expr;)*) => {$(
        unsafe extern "C" fn $name($thing: $pointer $(, $number: u32)?) -> $value {
            // SAFETY: a plugin passes the pointer that its function was called with, or NULL.
            let handle = unsafe { $find($thing) };
            handle.map_or_else(Default::default, |$handle| $read)
        }
    )*};
}

accessors! {
    flow_ref(flow: *const abi::Flow)
    flow_now(handle) -> u64 = handle.now.as_nanos();
    flow_id(handle) -> u64 = handle.flow.id();
    flow_client(handle) -> Endpoint = endpoint(handle.flow.client());
    flow_server(handle) -> Endpoint = endpoint(handle.flow.server());
    flow_ip_version(handle) -> u8 = handle.flow.ip_version();
    flow_protocol(handle) -> u8 = handle.flow.protocol();
    flow_ingress(handle) -> u8 = handle.flow.ingress().0;
    flow_state(handle) -> u32 = state(handle.flow).number();
    flow_end_reason(handle) -> u32 = end_reason(handle.flow).number();
    flow_flags(handle) -> u32 = flags(handle.flow);
    flow_start(handle) -> u64 = handle.flow.start().as_nanos();
    flow_last_seen(handle) -> u64 = handle.flow.last_seen().as_nanos();
    flow_counts(handle, direction) -> Counts = counts(handle.flow, direction);
    flow_idle_timeout(handle) -> u32 = idle_timeout(handle.flow);
    flow_has_removal_hook(handle, hook) -> bool = {
        handle.hook(hook).is_some_and(|id| handle.flow.removal_hooks().any(|registered| registered == id))
    };
}

accessors! {
    flow_mut(flow: *mut abi::Flow)
    flow_set_idle_timeout(handle, seconds) -> () = {
        let idle = (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)));
        handle.flow.set_idle_timeout(idle);
    };
    flow_bypass(handle) -> () = handle.flow.set_bypass(Bypass::Local);
    flow_drop(handle, reason) -> bool = {
        drop_reason(reason).is_some_and(|reason| handle.flow.set_action(FlowAction::Drop(reason)))
    };
    flow_pass(handle) -> bool = handle.flow.set_action(FlowAction::Pass);
    flow_register_removal_hook(handle, hook) -> bool = {
        handle.hook(hook).is_some_and(|id| handle.flow.register_removal_hook(id))
    };
    flow_unregister_removal_hook(handle, hook) -> bool = {
        handle.hook(hook).is_some_and(|id| handle.flow.unregister_removal_hook(id))
    };
}

accessors! {
    packet_ref(packet: *const abi::Packet)
    packet_payload(handle) -> Span = span(handle);
    packet_timestamp(handle) -> u64 = handle.meta().timestamp.as_nanos();
    packet_direction(handle) -> u32 = direction(handle.direction()).number();
    packet_ingress(handle) -> u8 = handle.meta().ingress.0;
    packet_wire_length(handle) -> u32 = handle.meta().wire_length;
}

accessors! {
    packet_mut(packet: *mut abi::Packet)
    packet_drop(handle, reason) -> bool = {
        drop_reason(reason).is_some_and(|reason| handle.drop_with(reason))
    };
}

unsafe extern "C" fn flow_vlans(flow: *const abi::Flow, ids: *mut u16) -> u32 {
    // SAFETY: a plugin passes the pointer that its function was called with, or NULL.
    let Some(handle) = (unsafe { flow_ref(flow) }) else { return 0 };
    let vlans = handle.flow.vlans();
    let found = vlans.as_slice();
    if !ids.is_null() {
        // SAFETY: the ABI wants room for three, and there are no more.
        unsafe { ptr::copy_nonoverlapping(found.as_ptr(), ids, found.len()) };
    }
    u32::try_from(found.len()).unwrap_or(0)
}

unsafe extern "C" fn flow_storage(flow: *mut abi::Flow, storage: u32) -> *mut c_void {
    // SAFETY: a plugin passes the pointer that its function was called with, or NULL.
    let handle = unsafe { flow_mut(flow) };
    let words = handle.and_then(|handle| handle.storage(storage));
    words.map_or(ptr::null_mut(), |words| words.as_mut_ptr().cast())
}

unsafe extern "C" fn packet_bytes(packet: *const abi::Packet, length: *mut usize) -> *const u8 {
    // SAFETY: a plugin passes the pointer that its function was called with, or NULL.
    let handle = unsafe { packet_ref(packet) };
    let bytes = handle.map(|handle| handle.bytes());
    // SAFETY: as the ABI says of `length`, which is passed on.
    unsafe { put(length, bytes.map_or(0, <[u8]>::len)) };
    bytes.map_or(ptr::null(), <[u8]>::as_ptr)
}

unsafe extern "C" fn packet_bytes_mut(packet: *mut abi::Packet, length: *mut usize) -> *mut u8 {
    // SAFETY: a plugin passes the pointer that its function was called with, or NULL.
    let handle = unsafe { packet_mut(packet) };
    let bytes = handle.and_then(|handle| handle.bytes_mut());
    // SAFETY: as the ABI says of `length`, which is passed on.
    unsafe { put(length, bytes.as_ref().map_or(0, |bytes| bytes.len())) };
    bytes.map_or(ptr::null_mut(), <[u8]>::as_mut_ptr)
}

/// Writes to where a plugin wants to have a number, if it does.
///
/// # Safety
/// The place is NULL or can be written.
unsafe fn put(place: *mut usize, number: usize) {
    if !place.is_null() {
        // SAFETY: not NULL, so it can be written, as the caller promises.
        unsafe { place.write(number) };
    }
}

fn endpoint((address, port): ([u8; 16], u16)) -> Endpoint {
    Endpoint { address, port }
}

fn state(flow: &Flow<'_>) -> FlowState {
    match flow.state() {
        portcullis_flow::FlowState::New => FlowState::New,
        portcullis_flow::FlowState::Established => FlowState::Established,
        portcullis_flow::FlowState::Closed => FlowState::Closed,
        portcullis_flow::FlowState::Bypassed => FlowState::Bypassed,
    }
}

fn end_reason(flow: &Flow<'_>) -> EndReason {
    match flow.end() {
        None => EndReason::None,
        Some(portcullis_flow::EndReason::TcpReuse) => EndReason::TcpReuse,
        Some(portcullis_flow::EndReason::Forced) => EndReason::Forced,
        Some(portcullis_flow::EndReason::Shutdown) => EndReason::Shutdown,
        Some(portcullis_flow::EndReason::Timeout) => EndReason::Timeout,
        Some(portcullis_flow::EndReason::HandedOver) => EndReason::HandedOver,
        Some(portcullis_flow::EndReason::Unknown) => EndReason::Unknown,
    }
}

fn flags(flow: &Flow<'_>) -> u32 {
    let bits = [
        (FlowFlags::SeenToServer, flow.seen(Direction::ToServer)),
        (FlowFlags::SeenToClient, flow.seen(Direction::ToClient)),
        (FlowFlags::Alerted, flow.alerted()),
        (FlowFlags::Dropped, matches!(flow.action(), Some(FlowAction::Drop(_)))),
        (FlowFlags::Passed, matches!(flow.action(), Some(FlowAction::Pass))),
        (FlowFlags::Bypassed, flow.bypass().is_some()),
        (FlowFlags::Emergency, flow.emergency()),
        (FlowFlags::NoPayloadInspection, flow.no_payload_inspection()),
    ];
    bits.iter().filter(|(_, set)| *set).fold(0, |all, (flag, _)| all | flag.number())
}

fn counts(flow: &Flow<'_>, direction: u32) -> Counts {
    let direction = match abi::Direction::from_number(direction) {
        Some(abi::Direction::ToServer) => Direction::ToServer,
        Some(abi::Direction::ToClient) => Direction::ToClient,
        None => return Counts::default(),
    };
    let portcullis_flow::Counts { packets, bytes } = flow.counts(direction);
    Counts { packets, bytes }
}

fn idle_timeout(flow: &Flow<'_>) -> u32 {
    flow.idle_timeout().map_or(0, |idle| u32::try_from(idle.as_secs()).unwrap_or(u32::MAX))
}

fn span(packet: &PacketHandle<'_, '_, '_>) -> Span {
    let span = packet.payload();
    Span { offset: span.start, length: span.end.saturating_sub(span.start) }
}

const fn direction(direction: Direction) -> abi::Direction {
    match direction {
        Direction::ToServer => abi::Direction::ToServer,
        Direction::ToClient => abi::Direction::ToClient,
    }
}

fn drop_reason(number: u32) -> Option<DropReason> {
    Some(match abi::DropReason::from_number(number)? {
        abi::DropReason::Callback => DropReason::Callback,
        abi::DropReason::DecodeError => DropReason::DecodeError,
        abi::DropReason::StreamError => DropReason::StreamError,
        abi::DropReason::ApplayerError => DropReason::ApplayerError,
        abi::DropReason::Rules => DropReason::Rules,
        abi::DropReason::ThresholdDetectionFilter => DropReason::ThresholdDetectionFilter,
    })
}
