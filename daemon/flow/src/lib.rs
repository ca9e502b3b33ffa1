//! One worker's flow engine: which flow a packet belongs to, what is known about it, and when it
//! ends.
//!
//! - [`key`]: what makes two packets one flow
//! - [`hash`]: the seeded hash over a key
//! - [`settings`]: the `flow` and `flow-timeouts` settings, as plain data
//! - [`table`]: [`FlowTable`], which finds, creates, updates, expires, evicts and ends flows
//! - [`flow`]: [`Flow`], the view of one flow
//! - [`bits`]: what rules remember about a flow
//! - [`tcp`]: the TCP state of a flow, by Suricata's names
//! - [`hooks`]: lifecycle callbacks and removal hooks, run in order, panics caught
//! - [`storage`]: values that hooks keep beside flows
//! - [`words`]: the same for values whose types this program does not know
//! - [`idle`]: idle timeouts of single flows
//! - [`inject`]: flows ended because somebody asks for it
//! - [`handover`]: flows that go on in another process; [`portable`]: values from its bytes
//! - [`stats`]: what is counted, by Suricata's names
//! - [`tracker`]: flows for programs that only watch: any key, own state, events
//!
//! Below them: `blind` (times that nobody saw), `index` (key to slot), `arena` (the flows' memory), `slot` (the one handle to a
//! flow's memory), `queue` (spare pool and work queue), `timeouts` (when a flow is over), `memory`
//! (huge pages and prefetch).
//!
//! Invariants: no lock, no I/O, no clock (time is an argument), no allocation after
//! [`FlowTable::new`]. A flow's memory never moves. Every flow that was ever created ends exactly
//! once, and always through [`FlowTable::finish`]. Memory never exceeds the share of `flow.memcap`.
#![deny(unsafe_code)]

mod arena;
pub mod bits;
mod blind;
mod callbacks;
mod evict;
pub mod flow;
pub mod handover;
pub mod hash;
pub mod hooks;
pub mod idle;
mod index;
pub mod inject;
pub mod key;
#[expect(unsafe_code, reason = "huge pages, prefetch and SIMD need it")]
mod memory;
pub mod portable;
mod queue;
mod rates;
mod registry;
pub mod settings;
mod slot;
pub mod stats;
pub mod storage;
pub mod table;
pub mod tcp;
mod timeouts;
mod track;
pub mod tracker;
pub mod words;

pub use bits::{FlowBit, FlowBits, FlowNumber};
pub use blind::Blind;
pub use flow::{Counts, Direction, EndReason, Flow, FlowAction, FlowState};
pub use handover::{Name, NotTaken, Pass, Told};
pub use hash::FlowHash;
pub use hooks::{
    CallbackFactory, Callbacks, FlowCallbacks, HookClock, HookCost, HookId, PacketAccess, RegisterError,
    Registry, RemovalFactory, RemovalHook, WorkerContext,
};
pub use idle::{FlowMatch, IdleTimeouts, Network, TimeoutOverride, TimeoutOverrides};
pub use inject::{FlowEnd, FlowSelector, TooManyRequests};
pub use key::{FlowKey, KeyOptions, KeyScope, Keyed};
pub use memory::prefetch_start;
pub use rates::RateTracking;
pub use settings::{FlowSettings, FlowTimeouts, SetupError, Timeouts};
pub use stats::FlowStats;
pub use storage::{Storage, StorageId};
pub use table::{FlowGuess, FlowTable, Share};
pub use tcp::{TcpState, TcpSummary};
pub use track::{Tracked, TrackedInput};
pub use words::{FreeWords, WordsId};
