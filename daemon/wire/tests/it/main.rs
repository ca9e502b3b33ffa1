//! Properties of decoder and builder over generated packets.

mod agreement;
mod packets;
mod robustness;
mod round_trip;
mod tunnels;
