//! Capture files, read, replayed and written.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;
mod damage;
mod replay;
mod suite;
mod variants;
mod write;
