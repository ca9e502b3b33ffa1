//! The C side in safe Rust: what a plugin written in Rust is made of. It stands on [`abi`](crate::abi)
//! alone, so such a plugin is like one in C to whoever loads it.
//!
//! ```
//! use portcullis_plugin::sdk::{Flow, Packet, Plugin, Setup, Worker};
//!
//! /// Counts packets, and drops the flow at its thousandth.
//! struct Thousand;
//! struct Counter(portcullis_plugin::sdk::StorageId<u32>);
//!
//! impl Plugin for Thousand {
//!     type Worker = Counter;
//!     type Shared = portcullis_plugin::sdk::StorageId<u32>;
//!
//!     fn register(setup: &mut Setup<'_>) -> Result<Self::Shared, String> {
//!         setup.storage()
//!     }
//!
//!     fn worker(shared: &Self::Shared, _number: u32) -> Counter {
//!         Counter(*shared)
//!     }
//! }
//!
//! impl Worker for Counter {
//!     fn update(&mut self, flow: &mut Flow<'_>, _packet: &mut Packet<'_>) {
//!         let packets = flow.stored(self.0).copied().unwrap_or(0) + 1;
//!         flow.store(self.0, packets);
//!         if packets == 1000 {
//!             flow.drop_flow(portcullis_plugin::abi::DropReason::Callback);
//!         }
//!     }
//! }
//!
//! portcullis_plugin::export_plugin!(Thousand, name: "thousand", version: "1.0");
//! # fn main() {}
//! ```

#[doc(hidden)]
#[expect(unsafe_code, reason = "called through the C ABI, and calls through it")]
pub mod ffi;
#[expect(unsafe_code, reason = "calls the host with its pointers")]
mod lent;
#[expect(unsafe_code, reason = "typed values in the bytes beside a flow")]
mod stored;

pub use ffi::Setup;
pub use lent::{Flow, Packet, PacketView};
pub use stored::StorageId;

/// A plugin: what it registers, and how it makes the state of each worker.
pub trait Plugin: 'static {
    /// What all workers share; several threads use it at once.
    type Shared: Send + Sync + 'static;
    /// The state of one worker.
    type Worker: Worker;

    /// Reads settings, asks for storage and removal hooks. Called once, before any worker starts.
    ///
    /// # Errors
    /// Why it cannot be: the program does not start then, and shows this.
    fn register(setup: &mut Setup<'_>) -> Result<Self::Shared, String>;

    /// Makes the state of the worker with this number.
    fn worker(shared: &Self::Shared, number: u32) -> Self::Worker;
}

/// A plugin's code in a flow's life, on one worker. Nothing of it runs at the same time, so it needs no
/// locks; it may be made and dropped on another thread than it runs on. A panic is caught: the hook it came
/// from is then not run again on this worker.
pub trait Worker: Send + 'static {
    /// A flow was made for this packet. Once a flow, before its first [`update`](Self::update).
    fn init(&mut self, flow: &mut Flow<'_>, packet: &PacketView<'_>) {
        let _ = (flow, packet);
    }

    /// A packet of the flow was counted, the first included; rules have not seen it yet.
    fn update(&mut self, flow: &mut Flow<'_>, packet: &mut Packet<'_>) {
        let _ = (flow, packet);
    }

    /// The flow has left the table and this hook was registered on it; its record is not yet written. Once a
    /// flow and hook.
    fn removed(&mut self, hook: RemovalHook, flow: &mut Flow<'_>) {
        let _ = (hook, flow);
    }

    /// The flow has ended and its record is written. Once a flow.
    fn finish(&mut self, flow: &mut Flow<'_>) {
        let _ = flow;
    }
}

/// Names a removal hook of this plugin. From [`Setup::removal_hook`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RemovalHook(pub(crate) u32);

/// Exports a [`Plugin`] from a `cdylib`: once in it. `name` is a string literal, `version` may be
/// `env!("CARGO_PKG_VERSION")`.
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ty, name: $name:literal, version: $version:expr $(,)?) => {
        #[doc = "What the plugin is."]
        #[allow(non_upper_case_globals, reason = "a name that C knows")]
        #[unsafe(no_mangle)]
        pub static portcullis_plugin_descriptor: $crate::sdk::ffi::Exported =
            $crate::sdk::ffi::Exported::new(concat!($name, "\0"), concat!($version, "\0"));

        #[doc = "Registers the plugin."]
        #[doc = "# Safety"]
        #[doc = "As the C ABI says."]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn portcullis_plugin_register(
            host: *const $crate::abi::Host,
            setup: *const $crate::abi::Setup,
            plugin: *mut $crate::abi::Plugin,
        ) -> i32 {
            // SAFETY: the host calls it as the C ABI says.
            unsafe { $crate::sdk::ffi::register::<$plugin>(host, setup, plugin) }
        }
    };
}
