//! The engine from outside: packets in, verdicts, records and counters out.
#![expect(clippy::unwrap_used, reason = "a test that fails tells so")]

mod blindness;
mod callbacks;
mod conservation;
mod defects;
mod evasion;
mod examples;
mod flow_records;
mod fragments;
mod handover;
mod handover_drive;
mod handover_whole;
mod hosts;
mod judging;
mod offload;
mod policies;
mod rejecting;
mod rig;
mod streams;
mod tracking;
mod tunnels;
mod workers;
