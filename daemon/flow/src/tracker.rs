//! Flows for programs that only watch: a tracker over any key, with the user's own state for each flow, that
//! tells what happened as events. The daemon's own table is [`FlowTable`](crate::FlowTable).
//!
//! ```
//! use portcullis_flow::tracker::{FiveTuple, FlowEvent, FlowTracker, PacketView};
//! use portcullis_wire::{PacketBuilder, Timestamp};
//!
//! let query = PacketBuilder::ethernet([2; 6], [4; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(4000, 53).to_vec();
//! let mut tracker = FlowTracker::<_, u32>::new(FiveTuple::bidirectional())?;
//! let events = tracker.track(PacketView::new(&query, Timestamp::from_secs(1)));
//! assert!(matches!(events[..], [FlowEvent::Started { .. }, FlowEvent::Packet { .. }]));
//! let ended = tracker.sweep(Timestamp::from_secs(61));
//! assert!(matches!(ended[..], [FlowEvent::Ended { .. }]));
//! # Ok::<(), portcullis_flow::tracker::TrackerError>(())
//! ```
//!
//! # Promises
//! - The events of a packet come in this order: the end of a flow that made room for a new one or that was over
//!   already; `Started`; `Established` or `StateChange`; `Packet`; `Ended`. No event of a flow follows its end.
//! - A flow ends when it was idle for its timeout or longer, whether a sweep or its next packet notices. So what is
//!   reported of a flow does not depend on how often a program sweeps.
//! - Every flow that was created is live, has had its one `Ended` event, or was [forgotten](FlowTracker::forget), also
//!   when settings change while it lives: [`TrackerStats`] counts each apart.
//! - Memory is bounded by `max_flows`; nothing is allocated by a packet. A sweep looks at flows that are due only.
//! - No clock, no I/O, no thread: time comes with packets and sweeps.
//!
//! # flowscope's tracker and this one
//! | `FlowTracker` of flowscope | here | and better |
//! |---|---|---|
//! | `new`, `with_config`, `with_state`, `with_config_and_state` | same names | settings out of range and memory refused are errors |
//! | `track` | [`track`](FlowTracker::track) | [`track_into`](FlowTracker::track_into) collects nothing; [`track_burst`](FlowTracker::track_burst) for many at once |
//! | `track_with_payload` | [`track_with_payload`](FlowTracker::track_with_payload) | |
//! | `sweep`, `manual_tick` | same names | looks only at flows that are due; [`sweep_at_most`](FlowTracker::sweep_at_most) is bounded |
//! | `get`, `get_mut` | same names | |
//! | `flows` | [`flows`](FlowTracker::flows), last used first | |
//! | `flow_count` | [`flow_count`](FlowTracker::flow_count) | |
//! | `snapshot_stats`, `all_flow_stats`, `snapshot_history` | same names | |
//! | `forget` | [`forget`](FlowTracker::forget) | counted |
//! | `stats` | [`stats`](FlowTracker::stats) | exact sums, refused packets too |
//! | `config`, `set_config` | same names | flows that no longer fit are reported; timeouts hold for live flows at once |
//! | `set_idle_timeout_fn`, `clear_idle_timeout_fn` | same names | asked once a flow, not once a flow and sweep |
//! | `extractor`, `into_extractor` | same names | [`drain`](FlowTracker::drain) reports the live flows before |
//! | `FlowEntry { stats, state, history, user }` | [`FlowEntry`] | [`conn_state`](FlowEntry::conn_state) |
//! | `FlowEvent::Ended { key, reason, stats, history }` | [`FlowEvent::Ended`] | with `conn_state` and the user's state |
//! | the key of the last packet kept apart, to skip a look-up | the first flow in the order of use | cannot go stale |
//!
//! # How
//! The key index is the crate's own, over a seeded hash of the user's key: one cache line a look-up, no tombstones and
//! so no rehash in a running tracker, which hashbrown's table would have under churn. Its one limit, a bounded number
//! of keys with one hash, is counted in `packets_refused`. Places, order of use and expiry are arrays of numbers beside
//! it (the engine's arena holds plain copies only, and a user's state may own memory).

mod config;
mod conn_state;
mod core;
mod entry;
mod event;
mod extract;
mod hash;
mod history;
mod list;
mod packet;
mod store;
mod sweep;
mod tcp;
mod wheel;

pub use self::core::FlowTracker;
pub use config::{TrackerConfig, TrackerError, TrackerStats};
pub use conn_state::ConnState;
pub use entry::{FlowEntry, FlowState, FlowStats};
pub use event::{EVENTS_PER_PACKET, EndReason, FlowEvent, FlowEvents, FlowSide};
pub use extract::{
    Extracted, FiveTuple, FiveTupleKey, FlowExtractor, FromFn, InnerTuple, IpPair, IpPairKey, L4Proto,
    MacPair, MacPairKey, Orientation, PacketView, from_fn,
};
pub use history::{HISTORY_LETTERS, History};
pub use packet::BURST;
pub use tcp::EndpointState;
