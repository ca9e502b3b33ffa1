//! The flow worker: a burst in, verdicts out. Modelled on Suricata's FlowWorker, one a thread,
//! with nothing shared between them.
//!
//! - [`worker`]: [`FlowWorker`], what happens to a burst and to the flows afterwards
//! - [`rules`]: a rule set as the workers use it
//! - [`owner`]: which worker owns a packet's flow
//! - [`policy`]: exception policies, resolved, and injected faults
//! - [`settings`]: what the engine is told at start
//! - [`handover`]: flows that go on in another process
//! - [`offload`]: decided flows, put forward to somebody who answers their packets before the engine
//! - [`drops`]: the last drops, and what is known of two ends, for whoever asks
//! - [`publish`]: counters to whoever reads them, a whole block at once
//! - [`drive`](mod@drive): the loop of a worker thread
//!
//! Invariants: no I/O, no clock (time comes with the packets), no allocation on the packet path;
//! the engine does not know which packet module it serves.
#![forbid(unsafe_code)]

pub mod drive;
pub mod drops;
pub mod handover;
pub mod offload;
pub mod owner;
pub mod policy;
pub mod publish;
pub mod rules;
pub mod settings;
pub mod spread;
mod witness;
pub mod worker;

mod columns;
mod judge;
mod reject;
mod report;
mod scopes;
mod tally;

pub use drive::{Command, drive};
pub use drops::{DropNote, Explained, FlowFacts, Question};
pub use offload::{Answered, Offer, OffloadAction, OffloadDesk, OffloadLink, OffloadRequest};
pub use owner::Owner;
pub use policy::{ExceptionPolicies, ExceptionPolicy, ExceptionTarget, Faults};
pub use publish::{Published, Publisher};
pub use rules::{NewRules, Rules};
pub use settings::{
    BudgetPolicy, DropRecords, EngineSettings, LiveSettings, MidstreamGrace, RecordSettings, SetupError,
};
pub use spread::Spread;
pub use witness::{Passing, Witness};
pub use worker::{FlowWorker, WorkerParts};
