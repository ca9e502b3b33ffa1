//! Shared objects: opened, their symbols found, their tables read. The only module that loads code.

use crate::abi::{self, Descriptor, Register};
use crate::call::{Functions, Removal, Room};
use crate::host::HOST;
use crate::sdk::{Plugin, ffi};
use crate::settings::Settings;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use std::ffi::{CStr, c_char};
use std::mem::zeroed;
use std::path::Path;
use std::ptr;
use std::slice;

/// The descriptor's symbol.
const DESCRIPTOR: &[u8] = b"portcullis_plugin_descriptor\0";

/// The entry's symbol.
const ENTRY: &[u8] = b"portcullis_plugin_register\0";

/// A shared object that is loaded.
#[derive(Debug)]
pub(crate) struct Object(Library);

/// What a plugin's descriptor says, read.
#[derive(Clone, Debug)]
pub(crate) struct Described {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// What is wrong with what an object says of itself.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It has no such symbol.
    NoSymbol(&'static str),
    /// It is built for another version.
    Version(u32),
    /// Its tables have other sizes than they can have in this version.
    Sizes { host: u32, plugin: u32 },
    /// It gave this status, with this message.
    Refused(i32, String),
    /// Its table cannot be used.
    Table(String),
}

impl Object {
    /// Loads the object with everything that it needs, so that no call fails for a missing symbol later.
    /// Code of the object may run here: whoever names it trusts it.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        // SAFETY: what its initialisers do cannot be known; plugins are trusted as this program is.
        let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
        library.map(Self).map_err(|error| error.to_string())
    }

    /// Reads the descriptor. Nothing of the object is called.
    pub(crate) fn describe(&self) -> Result<Described, Fault> {
        // SAFETY: the symbol is the one of the ABI, a constant of this type; only its first field is read
        // before its version is known, and that one is the same in all versions.
        let found = unsafe { self.0.get::<*const Descriptor>(DESCRIPTOR) };
        let descriptor = *found.map_err(|_| Fault::NoSymbol("portcullis_plugin_descriptor"))?;
        // SAFETY: as above.
        let version = unsafe { descriptor.cast::<u32>().read() };
        if version != abi::ABI_VERSION {
            return Err(Fault::Version(version));
        }
        // SAFETY: the version is ours, so the constant is of this type.
        let descriptor = unsafe { &*descriptor };
        let (host, plugin) = (descriptor.host_size, descriptor.plugin_size);
        let (first_host, first_plugin) = Descriptor::FIRST_SIZES;
        let known = |size: u32, first: usize, most: u32| size as usize >= first && size <= most;
        if !known(host, first_host, abi::size_of_table::<abi::Host>())
            || !known(plugin, first_plugin, abi::size_of_table::<abi::Plugin>())
        {
            return Err(Fault::Sizes { host, plugin });
        }
        // SAFETY: NULL or a string, as the ABI says.
        let name = unsafe { text(descriptor.name) }.unwrap_or_default();
        // SAFETY: NULL or a string, as the ABI says.
        let version = unsafe { text(descriptor.version) }.unwrap_or_default();
        Ok(Described { name, version })
    }

    /// Has the plugin register itself, and checks what it filled in. From here on the object stays loaded for
    /// good: nobody can know what of it is still in use.
    pub(crate) fn register(self, name: &str, settings: &Settings) -> Result<Functions, Fault> {
        // SAFETY: the symbol is the one of the ABI, a function of this type.
        let found = unsafe { self.0.get::<Register>(ENTRY) };
        let entry = *found.map_err(|_| Fault::NoSymbol("portcullis_plugin_register"))?;
        std::mem::forget(self.0);
        // SAFETY: the plugin's own entry, called once; the descriptor says that its tables are ours.
        unsafe { register(entry, name, settings) }
    }
}

/// Has a plugin that is part of this program register itself.
pub(crate) fn built_in<P: Plugin>(name: &str, settings: &Settings) -> Result<Functions, Fault> {
    // SAFETY: an entry of this ABI.
    unsafe { register(ffi::entry::<P>, name, settings) }
}

/// # Safety
/// The entry is that of a plugin of this ABI, whose code stays.
unsafe fn register(entry: Register, name: &str, settings: &Settings) -> Result<Functions, Fault> {
    // SAFETY: NULL pointers, absent functions and numbers: all of it may be zero.
    let mut table: abi::Plugin = unsafe { zeroed() };
    // SAFETY: as the ABI says; `Settings` is what the host's functions take it for.
    let status = unsafe { entry(&raw const HOST, ptr::from_ref(settings).cast(), &raw mut table) };
    if status != abi::OK {
        return Err(Fault::Refused(status, message(&table.error)));
    }
    let removals = removals(&table).map_err(Fault::Table)?;
    let rooms = rooms(&table).map_err(Fault::Table)?;
    Ok(Functions::new(name.to_owned(), table, removals, rooms))
}

fn removals(table: &abi::Plugin) -> Result<Vec<Removal>, String> {
    // SAFETY: the plugin's array and its length, as the ABI says.
    let hooks = unsafe { array(table.removal_hooks, table.removal_hook_count) };
    let hooks = hooks.ok_or("it has removal hooks, but no array of them")?;
    let mut removals: Vec<Removal> = Vec::with_capacity(hooks.len());
    for (number, hook) in hooks.iter().enumerate() {
        // SAFETY: NULL or a string, as the ABI says.
        let name = unsafe { text(hook.name) }.unwrap_or_default();
        if !is_name(&name) {
            return Err(format!("removal hook {number} has no good name: {NAME_RULE}"));
        }
        let removed = hook.removed.ok_or_else(|| format!("removal hook {name} has no function"))?;
        removals.push(Removal { name, removed });
    }
    Ok(removals)
}

fn rooms(table: &abi::Plugin) -> Result<Vec<Room>, String> {
    // SAFETY: the plugin's array and its length, as the ABI says.
    let storages = unsafe { array(table.storages, table.storage_count) };
    let storages = storages.ok_or("it has storages, but no array of them")?;
    let room = |(number, storage): (usize, &abi::Storage)| match storage.bytes {
        1..=abi::STORAGE_MOST => Ok(Room { bytes: storage.bytes, free: storage.free }),
        bytes => Err(format!(
            "storage {number} asks for {bytes} bytes beside each flow; 1 to {} can be had",
            abi::STORAGE_MOST
        )),
    };
    storages.iter().enumerate().map(room).collect()
}

/// What names of plugins and hooks are.
pub(crate) const NAME_RULE: &str = "1 to 63 letters, digits, - and _";

pub(crate) fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=63).contains(&name.len()) && name.bytes().all(plain)
}

/// An array of a plugin; `None` where there should be one and is not.
///
/// # Safety
/// The pointer is NULL or to so many values that do not change.
unsafe fn array<'t, T>(first: *const T, count: u32) -> Option<&'t [T]> {
    match (first.is_null(), usize::try_from(count).ok()?) {
        (_, 0) => Some(&[]),
        (true, _) => None,
        // SAFETY: as the caller promises.
        (false, count) => Some(unsafe { slice::from_raw_parts(first, count) }),
    }
}

/// A string of a plugin; `None` for NULL.
///
/// # Safety
/// The pointer is NULL or to a string that ends with a NUL.
unsafe fn text(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not NULL, so a string, as the caller promises.
    let text = unsafe { CStr::from_ptr(text) };
    Some(text.to_string_lossy().into_owned())
}

/// The message that a plugin left, up to its NUL or the end.
fn message(error: &[c_char]) -> String {
    let bytes: Vec<u8> =
        error.iter().take_while(|byte| **byte != 0).map(|byte| byte.to_ne_bytes()[0]).collect();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}
