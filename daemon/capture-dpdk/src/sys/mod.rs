//! DPDK, behind types that cannot be misused: the only module that calls C.
//!
//! - `ffi`: what the shim (`shim/`) offers
//! - `eal`: [`Eal`], the environment, once a process
//! - `mbuf`: [`Pool`] and [`Mbuf`], packet buffers with one owner each
//! - `port`: [`Port`] and [`Lane`], a started port and its queues
//! - `flow`: rules by which a device drops packets itself
//! - `rings`: ports in memory, for tests and benchmarks (feature `rings`)
//!
//! Invariants: a buffer is owned by one value, which gives it back to its pool when it is dropped, or by the device
//! that it was sent to; a queue is served through one value, so by one thread at a time; a pool that is not full when
//! it is let go of stays for ever, together with the environment, rather than being unmapped under a buffer.

mod eal;
mod ffi;
mod flow;
mod mbuf;
mod port;
#[cfg(feature = "rings")]
mod rings;

pub use eal::Eal;
pub(crate) use eal::register_thread;
pub use flow::{FlowAbilities, FlowMatch, FlowRule};
pub(crate) use mbuf::CACHE;
pub use mbuf::{Mbuf, Pool};
pub use port::{Extended, Lane, Losses, Port, PortFacts, PortRequest};
#[cfg(feature = "rings")]
pub use rings::wired_ports;

use crate::error::DpdkError;
use std::ffi::{CStr, CString, c_int};

/// DPDK's words for a negative error number.
fn reason(code: c_int) -> String {
    let text = ffi::pc_strerror(code.saturating_neg());
    if text.is_null() {
        return format!("error {code}");
    }
    // SAFETY: DPDK answers a string that ends, static or of this thread, which is copied before anything else is asked.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

fn c_string(text: &str) -> Result<CString, DpdkError> {
    CString::new(text).map_err(|_| DpdkError::Invalid(format!("{text:?} has a zero byte in it")))
}
