//! Plugins: shared objects whose hooks run in a flow's life. A small, versioned C ABI over the hooks of
//! `portcullis-flow`, the loader of such objects, and a safe Rust twin of the C side. `README.md` is for
//! whoever writes one.
//!
//! - [`abi`]: the C ABI, from which `include/portcullis_plugin.h` is made
//! - [`load`]: from a file to hooks in a registry
//! - [`settings`]: what a plugin is configured with
//! - [`sdk`]: for plugins in Rust, safe
//!
//! Below them: `object` (shared objects and their tables), `call` (a plugin's functions as hooks), `host`
//! (what plugins may call), `handle` (what their pointers stand for).
//!
//! Invariants: nothing of a plugin is called before its version is known to be ours; no lock and no
//! allocation while packets are judged; a plugin is never unloaded. A crash of a plugin is a crash of the
//! process: nothing here could catch it.
#![deny(unsafe_code)]

pub mod abi;
#[expect(unsafe_code, reason = "calls functions of plugins")]
mod call;
mod handle;
#[expect(unsafe_code, reason = "called by plugins, with their pointers")]
mod host;
pub mod load;
#[expect(unsafe_code, reason = "loads code and reads its tables")]
mod object;
pub mod sdk;
pub mod settings;

pub use load::{LoadError, LoadedPlugin, PluginFile};
pub use settings::Settings;
