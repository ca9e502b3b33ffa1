//! Which worker owns a packet's flow.
//!
//! The NIC's queue does not decide it: fragments are spread by addresses only, the two directions
//! of a tunnel by different outer ports, and ICMP errors come from routers. The owner is a
//! function of the address pair alone, the same for both directions, so that fragments, errors
//! (by the addresses that they quote) and both directions of a flow meet at one worker.

use crate::spread::Spread;
use portcullis_capture::WorkerId;
use portcullis_flow::FlowKey;
use portcullis_wire::decoded::{Address, Decoded, Transport};
use portcullis_wire::mix::fold;
use std::sync::Arc;

/// The owner function: symmetric in source and destination, the same for every worker.
#[derive(Clone, Debug)]
pub struct Owner {
    workers: u8,
    seed: u64,
    spread: Option<Arc<Spread>>,
}

impl Owner {
    /// Spreads address pairs over `workers` workers (1 to 255; 0 is taken as 1). All workers of
    /// an engine must have the same `seed`.
    #[must_use]
    pub fn new(workers: u8, seed: u64) -> Self {
        Self { workers: workers.max(1), seed, spread: None }
    }

    /// The same by the spread of the NICs, where it is known; it must be one over as many workers.
    #[must_use]
    pub fn with_spread(self, spread: Option<Arc<Spread>>) -> Self {
        Self { spread, ..self }
    }

    /// The worker that judges this packet, or `None` where any worker may: it has no addresses.
    #[must_use]
    #[inline]
    pub fn of(&self, decoded: &Decoded) -> Option<WorkerId> {
        if self.workers == 1 || decoded.ip_version == 0 { None } else { self.of_addresses(decoded) }
    }

    fn of_addresses(&self, decoded: &Decoded) -> Option<WorkerId> {
        let (source, destination) = owning_addresses(decoded);
        if let Some(spread) = &self.spread {
            return Some(spread.owner(source, destination));
        }
        Some(self.of_pair(source, destination))
    }

    /// The worker that judges a flow: by the addresses of its key, or by where the outermost ones around its
    /// packets [put it](Self::place), if that is not 0.
    #[must_use]
    pub fn of_flow(&self, key: &FlowKey, outer: u16) -> WorkerId {
        match (&self.spread, outer) {
            (Some(spread), 0) => spread.owner(&key.lower().0, &key.higher().0),
            (Some(spread), place) => spread.at(place),
            (None, 0) => self.of_pair(&key.lower().0, &key.higher().0),
            (None, place) => self.at(place),
        }
    }

    /// Where a pair of addresses is, in 65,536ths of all workers, however many these are; never 0, which is
    /// the first worker's like 1. By the spread of the NICs: which bucket of theirs, from 1.
    #[must_use]
    pub fn place(&self, one: &Address, other: &Address) -> u16 {
        match &self.spread {
            Some(spread) => spread.place(one, other),
            None => self.spread(one, other).max(1),
        }
    }

    fn of_pair(&self, source: &Address, destination: &Address) -> WorkerId {
        self.at(self.spread(source, destination))
    }

    fn at(&self, place: u16) -> WorkerId {
        let worker = (u32::from(place) * u32::from(self.workers)) >> 16;
        WorkerId(u8::try_from(worker).unwrap_or(0))
    }

    fn spread(&self, source: &Address, destination: &Address) -> u16 {
        // Addition commutes, so the order of the two ends does not matter; each end is mixed on
        // its own first, so that pairs with equal sums do not fall together.
        let sum = self.mix(source).wrapping_add(self.mix(destination));
        u16::try_from(fold(sum, 0x9e37_79b9_7f4a_7c15) >> 48).unwrap_or(0)
    }

    fn mix(&self, address: &Address) -> u64 {
        let word = u128::from_be_bytes(*address);
        #[expect(clippy::cast_possible_truncation, reason = "the two halves are meant")]
        let (high, low) = ((word >> 64) as u64, word as u64);
        fold(high ^ self.seed ^ 0xe703_7ed1_a0b4_28db, low ^ 0x8ebc_6af0_9c88_c6e3)
    }
}

/// An ICMP error belongs to the flow whose packet it quotes.
fn owning_addresses(decoded: &Decoded) -> (&Address, &Address) {
    match &decoded.transport {
        Transport::Icmpv4(icmp) | Transport::Icmpv6(icmp) => match &icmp.quoted {
            Some(quoted) => (&quoted.source, &quoted.destination),
            None => (&decoded.source, &decoded.destination),
        },
        _ => (&decoded.source, &decoded.destination),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_wire::decoded::{Icmp, Quoted};
    use proptest::prelude::*;

    fn packet(source: Address, destination: Address) -> Decoded {
        Decoded { ip_version: 4, source, destination, ..Decoded::default() }
    }

    proptest! {
        #[test]
        fn both_directions_and_errors_have_one_owner(a: [u8; 16], b: [u8; 16], router: [u8; 16], seed: u64) {
            let owner = Owner::new(7, seed);
            let forward = owner.of(&packet(a, b));
            prop_assert_eq!(forward, owner.of(&packet(b, a)));
            let quoted = Some(Quoted {
                source: a, destination: b, protocol: 17, source_port: 1, destination_port: 2,
            });
            let icmp = Icmp { kind: 3, code: 3, echo: None, quoted };
            let error = Decoded { transport: Transport::Icmpv4(icmp), ..packet(router, a) };
            prop_assert_eq!(forward, owner.of(&error));
            prop_assert!(forward.is_some_and(|worker| worker.0 < 7));
        }
    }

    #[test]
    fn load_is_spread_over_all_workers() {
        let owner = Owner::new(4, 42);
        let mut load = [0_u32; 4];
        for host in 0..4000_u32 {
            let mut source = [0; 16];
            source[12..].copy_from_slice(&host.to_be_bytes());
            let worker = owner.of(&packet(source, [7; 16])).unwrap();
            load[usize::from(worker.0)] += 1;
        }
        assert!(load.iter().all(|&n| (800..1200).contains(&n)), "{load:?}");
    }

    #[test]
    fn one_worker_and_packets_without_addresses_stay_where_they_are() {
        assert_eq!(Owner::new(1, 1).of(&packet([1; 16], [2; 16])), None);
        assert_eq!(Owner::new(8, 1).of(&Decoded::default()), None);
    }
}
