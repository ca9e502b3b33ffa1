//! The module between ports in memory, wired to ports that the tests hold.
#![expect(clippy::unwrap_used, reason = "a test's helper may fail the test")]

mod common;
mod forwarding;
mod refusals;
mod settings;
mod steering;
mod suite;
