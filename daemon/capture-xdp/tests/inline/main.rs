//! The module on real interfaces: veth pairs between namespaces, with frames sent and heard by packet sockets. Needs
//! root; nothing it makes outlives it.
#![expect(unsafe_code, reason = "a mount namespace for a test, and a socket of xsk-rs itself")]
#![expect(clippy::unwrap_used, reason = "what fails here is the test")]

mod common;
mod crash;
mod forwarding;
mod jumbo;
mod liveness;
mod ports;
mod refusals;
mod steering;
mod suite;
