//! The flow table through its public face.

mod bits;
mod callbacks;
mod conservation;
mod departed;
mod followed;
mod full;
mod idle;
mod inject;
mod lifecycle;
mod model;
mod packets;
mod removal;
mod setup;
mod stored;
