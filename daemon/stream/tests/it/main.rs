//! What a worker's sessions say about segments, seen from outside.

mod blindness;
mod closing;
mod handshake;
mod limits;
mod model;
mod overlaps;
mod payload;
mod script;
mod synchronized;
