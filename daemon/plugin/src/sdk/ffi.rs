//! What the exported symbols of a Rust plugin stand on: its registration, and the functions in its table.
//! Every panic ends here.

use super::lent::{Flow, Packet, PacketView};
use super::stored::{Place, StorageId};
use super::{Plugin, RemovalHook, Worker};
use crate::abi::{self, Descriptor, Host, LogLevel};
use std::any::{Any, TypeId};
use std::ffi::{CStr, CString, c_char, c_void};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A plugin's descriptor, in a static.
#[derive(Debug)]
#[repr(transparent)]
pub struct Exported(Descriptor);

// SAFETY: its pointers are to string literals.
unsafe impl Sync for Exported {}

impl Exported {
    /// The descriptor of a plugin; both texts end with a NUL.
    #[must_use]
    pub const fn new(name: &'static str, version: &'static str) -> Self {
        Self(Descriptor {
            abi_version: abi::ABI_VERSION,
            host_size: abi::size_of_table::<Host>(),
            plugin_size: abi::size_of_table::<abi::Plugin>(),
            reserved: 0,
            name: literal(name),
            version: literal(version),
        })
    }
}

const fn literal(text: &'static str) -> *const c_char {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(text) => text.as_ptr(),
        Err(_) => panic!("a NUL within a name or a version"),
    }
}

/// A plugin that is being registered.
#[derive(Debug)]
pub struct Setup<'s> {
    host: &'static Host,
    raw: *const abi::Setup,
    hooks: Vec<CString>,
    storages: Vec<abi::Storage>,
    kinds: Vec<TypeId>,
    settings: PhantomData<&'s abi::Setup>,
}

impl Setup<'_> {
    /// The value of a setting in `[plugins.config.NAME]`; `None` where it is not set.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<String> {
        let key = CString::new(key).ok()?;
        // SAFETY: while the plugin is being registered, with its own pointer.
        let value = unsafe { (self.host.setting)(self.raw, key.as_ptr()) };
        if value.is_null() {
            return None;
        }
        // SAFETY: not NULL, so a string that lives until registering ends.
        let value = unsafe { CStr::from_ptr(value) };
        Some(value.to_string_lossy().into_owned())
    }

    /// Asks for room for one `T` beside each flow. Every flow begins without one; the room is taken from
    /// `flow.memcap`.
    ///
    /// # Errors
    /// There are more than can be counted.
    pub fn storage<T: Send + 'static>(&mut self) -> Result<StorageId<T>, String> {
        let number = u32::try_from(self.storages.len()).map_err(|error| error.to_string())?;
        let free = Some(Place::<T>::free as unsafe extern "C" fn(*mut c_void));
        self.storages.push(abi::Storage { bytes: Place::<T>::BYTES, reserved: 0, free });
        self.kinds.push(Place::<T>::kind());
        Ok(StorageId::new(number))
    }

    /// Adds a removal hook under a name of its own within the plugin. It runs for the flows on which it is
    /// [registered](Flow::register_removal_hook).
    ///
    /// # Errors
    /// The name has a NUL in it, or there are more than can be counted.
    pub fn removal_hook(&mut self, name: &str) -> Result<RemovalHook, String> {
        let number = u32::try_from(self.hooks.len()).map_err(|error| error.to_string())?;
        self.hooks.push(CString::new(name).map_err(|error| error.to_string())?);
        Ok(RemovalHook(number))
    }

    /// Writes a line to the log.
    pub fn log(&self, level: LogLevel, text: &str) {
        log(self.host, level, text);
    }
}

/// What a registered plugin's `user` points to.
struct Registered<P: Plugin> {
    shared: P::Shared,
    host: &'static Host,
    kinds: Vec<TypeId>,
    /// What the arrays of the table refer to.
    hooks: Vec<abi::RemovalHook>,
    storages: Vec<abi::Storage>,
    _names: Vec<CString>,
}

/// What a worker's state points to.
struct State<P: Plugin> {
    worker: P::Worker,
    registered: *const Registered<P>,
}

/// Registers a plugin.
///
/// # Safety
/// As the C ABI says of `portcullis_plugin_register`.
pub unsafe fn register<P: Plugin>(
    host: *const Host,
    setup: *const abi::Setup,
    plugin: *mut abi::Plugin,
) -> i32 {
    // SAFETY: the host's table lives as long as the process.
    let host: &'static Host = unsafe { &*host };
    // SAFETY: the plugin's table is ours to fill in until this returns.
    let table = unsafe { &mut *plugin };
    let (hooks, storages, kinds) = Default::default();
    let mut setup = Setup { host, raw: setup, hooks, storages, kinds, settings: PhantomData };
    let shared = match catch_unwind(AssertUnwindSafe(|| P::register(&mut setup))) {
        Ok(Ok(shared)) => shared,
        Ok(Err(message)) => return refuse(table, &message),
        Err(panic) => return refuse(table, &format!("it panicked: {}", panic_text(panic.as_ref()))),
    };
    let Setup { hooks: names, storages, kinds, .. } = setup;
    let hooks: Vec<_> = names.iter().map(hook::<P>).collect();
    let registered = Box::new(Registered::<P> { shared, host, kinds, hooks, storages, _names: names });
    table.removal_hook_count = u32::try_from(registered.hooks.len()).unwrap_or(u32::MAX);
    table.removal_hooks = registered.hooks.as_ptr();
    table.storage_count = u32::try_from(registered.storages.len()).unwrap_or(u32::MAX);
    table.storages = registered.storages.as_ptr();
    table.user = Box::into_raw(registered).cast();
    table.close = Some(close::<P>);
    table.worker_new = Some(worker_new::<P>);
    table.worker_free = Some(worker_free::<P>);
    table.init = Some(init::<P>);
    table.update = Some(update::<P>);
    table.finish = Some(finish::<P>);
    abi::OK
}

/// [`register`] as C calls it.
pub(crate) unsafe extern "C" fn entry<P: Plugin>(
    host: *const Host,
    setup: *const abi::Setup,
    plugin: *mut abi::Plugin,
) -> i32 {
    // SAFETY: as the C ABI says of this function.
    unsafe { register::<P>(host, setup, plugin) }
}

fn hook<P: Plugin>(name: &CString) -> abi::RemovalHook {
    abi::RemovalHook { name: name.as_ptr(), removed: Some(removed::<P>) }
}

fn refuse(table: &mut abi::Plugin, message: &str) -> i32 {
    let room = table.error.len() - 1;
    for (place, byte) in table.error.iter_mut().zip(message.bytes().take(room)) {
        *place = c_char::from_ne_bytes([byte]);
    }
    abi::FAILED
}

unsafe extern "C" fn close<P: Plugin>(user: *mut c_void) {
    // SAFETY: the host closes a plugin once, with its own `user`, when nothing else of it is in use.
    let registered = unsafe { Box::from_raw(user.cast::<Registered<P>>()) };
    let _ = catch_unwind(AssertUnwindSafe(|| drop(registered)));
}

unsafe extern "C" fn worker_new<P: Plugin>(user: *mut c_void, number: u32, state: *mut *mut c_void) -> i32 {
    // SAFETY: the plugin's own `user`, which is shared only.
    let registered = unsafe { &*user.cast::<Registered<P>>() };
    let Some(worker) = caught(registered.host, || P::worker(&registered.shared, number)) else {
        return abi::FAILED;
    };
    let made = Box::into_raw(Box::new(State::<P> { worker, registered }));
    // SAFETY: where the host wants to have it.
    unsafe { state.write(made.cast()) };
    abi::OK
}

unsafe extern "C" fn worker_free<P: Plugin>(worker: *mut c_void) {
    // SAFETY: the host frees a worker once, and does not use it afterwards.
    let state = unsafe { Box::from_raw(worker.cast::<State<P>>()) };
    let _ = catch_unwind(AssertUnwindSafe(|| drop(state)));
}

unsafe extern "C" fn init<P: Plugin>(
    worker: *mut c_void,
    flow: *mut abi::Flow,
    packet: *const abi::Packet,
) -> i32 {
    let call = |state: &mut State<P>, context: &Context<'_>| {
        // SAFETY: the pointer of this call.
        let packet = unsafe { PacketView::new(context.host, packet) };
        // SAFETY: the pointer of this call.
        let mut flow = unsafe { Flow::new(context.host, flow, context.kinds) };
        state.worker.init(&mut flow, &packet);
    };
    // SAFETY: as the C ABI says of this function.
    unsafe { run(worker, call) }
}

unsafe extern "C" fn update<P: Plugin>(
    worker: *mut c_void,
    flow: *mut abi::Flow,
    packet: *mut abi::Packet,
) -> i32 {
    let call = |state: &mut State<P>, context: &Context<'_>| {
        // SAFETY: the pointer of this call.
        let mut packet = unsafe { Packet::new(context.host, packet) };
        // SAFETY: the pointer of this call.
        let mut flow = unsafe { Flow::new(context.host, flow, context.kinds) };
        state.worker.update(&mut flow, &mut packet);
    };
    // SAFETY: as the C ABI says of this function.
    unsafe { run(worker, call) }
}

unsafe extern "C" fn finish<P: Plugin>(worker: *mut c_void, flow: *mut abi::Flow) -> i32 {
    let call = |state: &mut State<P>, context: &Context<'_>| {
        // SAFETY: the pointer of this call.
        let mut flow = unsafe { Flow::new(context.host, flow, context.kinds) };
        state.worker.finish(&mut flow);
    };
    // SAFETY: as the C ABI says of this function.
    unsafe { run(worker, call) }
}

unsafe extern "C" fn removed<P: Plugin>(worker: *mut c_void, flow: *mut abi::Flow, hook: u32) -> i32 {
    let call = |state: &mut State<P>, context: &Context<'_>| {
        // SAFETY: the pointer of this call.
        let mut flow = unsafe { Flow::new(context.host, flow, context.kinds) };
        state.worker.removed(RemovalHook(hook), &mut flow);
    };
    // SAFETY: as the C ABI says of this function.
    unsafe { run(worker, call) }
}

/// What every call needs.
struct Context<'c> {
    host: &'static Host,
    kinds: &'c [TypeId],
}

/// Runs one call on a worker.
///
/// # Safety
/// The worker is one that [`worker_new`] made for this plugin, and nobody else uses it now.
unsafe fn run<P: Plugin>(worker: *mut c_void, call: impl FnOnce(&mut State<P>, &Context<'_>)) -> i32 {
    // SAFETY: as the caller promises.
    let state = unsafe { &mut *worker.cast::<State<P>>() };
    // SAFETY: the plugin is closed after its workers are freed.
    let registered = unsafe { &*state.registered };
    let context = Context { host: registered.host, kinds: &registered.kinds };
    match caught(registered.host, || call(state, &context)) {
        Some(()) => abi::OK,
        None => abi::FAILED,
    }
}

/// Does it; `None`, with a line in the log, where it panics. What a panic leaves half done is the plugin's own:
/// the hook is not called again.
fn caught<T>(host: &Host, work: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(value) => Some(value),
        Err(panic) => {
            log(host, LogLevel::Error, &format!("a plugin panicked: {}", panic_text(panic.as_ref())));
            None
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "without a message",
    }
}

fn log(host: &Host, level: LogLevel, text: &str) {
    if let Ok(text) = CString::new(text) {
        // SAFETY: a string that ends with a NUL, as the ABI says.
        unsafe { (host.log)(level.number(), text.as_ptr()) };
    }
}
