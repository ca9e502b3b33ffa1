//! A blocklist of a million addresses and 50,000 networks, and sources that are on it or not.

use portcullis_lists::net::Nets;
use portcullis_lists::{Net, NetSet};
use portcullis_wire::builder::PacketBuilder;
use std::net::Ipv4Addr;

pub(crate) const ADDRESSES: u32 = 1_000_000;
/// Where everything goes to.
pub(crate) const DESTINATION: [u8; 4] = [10, 0, 0, 1];
pub(crate) const NETWORKS: u32 = 50_000;

/// Sources without order: `first` | a number >> `bits`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sources {
    pub(crate) first: u32,
    pub(crate) bits: u32,
    pub(crate) count: u32,
    pub(crate) listed: bool,
}

impl Sources {
    /// The one of this number.
    pub(crate) const fn at(&self, number: u32) -> u32 {
        self.first | scattered(number) >> self.bits
    }
}

pub(crate) const SINGLE: Sources = Sources { first: 0x0100_0000, bits: 1, count: ADDRESSES, listed: true };
pub(crate) const WITHIN: Sources = Sources { first: 0xc000_0000, bits: 3, count: NETWORKS, listed: true };
pub(crate) const STRANGERS: Sources = Sources { first: 0xa000_0000, bits: 4, count: NETWORKS, listed: false };

/// All of them, by name.
pub(crate) const SOURCES: [(&str, Sources); 3] =
    [("an address", SINGLE), ("a network", WITHIN), ("no entry", STRANGERS)];

/// Numbers without order, each once.
pub(crate) const fn scattered(number: u32) -> u32 {
    number.wrapping_mul(0x9e37_79b1)
}

pub(crate) fn blocklist() -> NetSet {
    let addresses = (0..ADDRESSES).map(|number| Net::single(SINGLE.at(number)));
    let lengths = [24, 24, 24, 22, 20, 28, 29];
    let networks = (0..NETWORKS).map(|number| Net::around(WITHIN.at(number), lengths[number as usize % 7]));
    NetSet::new(Nets { v4: addresses.chain(networks).collect(), v6: Vec::new() }).0
}

pub(crate) fn frame(source: u32) -> Vec<u8> {
    let frame = PacketBuilder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    frame.ipv4(Ipv4Addr::from(source), Ipv4Addr::from(DESTINATION)).udp(1000, 7).minimum(60).to_vec()
}
