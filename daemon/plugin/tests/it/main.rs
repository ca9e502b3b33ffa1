//! Plugins as they are used: compiled, loaded, run by the engine over packets from memory.

#![expect(clippy::unwrap_used, reason = "a test's helper may fail the test")]

mod allocation;
mod built;
mod calls;
mod examples;
#[cfg(feature = "sanitized")]
mod faulty;
mod loading;
mod rig;
