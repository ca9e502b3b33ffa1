//! Capture files, read, replayed and written.

mod common;
mod damage;
mod replay;
mod variants;
mod write;
