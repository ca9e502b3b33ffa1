//! The tracker through its public face.

mod allocation;
mod capacity;
mod extractors;
mod idle;
mod last_used;
mod lifecycle;
mod model;
mod packets;
mod tcp;
