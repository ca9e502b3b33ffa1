//! The networks of a list: sorted, each once, and none that another one covers.

use crate::net::{Net, Nets, Word};
use std::net::IpAddr;

/// What a list holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetSet {
    v4: Vec<Net<u32>>,
    v6: Vec<Net<u128>>,
}

/// What was left out of a set because it was there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Networks that stood there more than once.
    pub duplicates: u64,
    /// Networks within others.
    pub covered: u64,
}

impl NetSet {
    /// The set of these networks, and what was left out.
    #[must_use]
    pub fn new(nets: Nets) -> (Self, Merged) {
        let Nets { mut v4, mut v6 } = nets;
        let mut merged = Merged::default();
        merge(&mut v4, &mut merged);
        merge(&mut v6, &mut merged);
        (Self { v4, v6 }, merged)
    }

    /// The networks of IPv4, in order; no two of them share an address.
    #[must_use]
    pub fn v4(&self) -> &[Net<u32>] {
        &self.v4
    }

    /// The same for IPv6.
    #[must_use]
    pub fn v6(&self) -> &[Net<u128>] {
        &self.v6
    }

    /// Is an address in one of them?
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => is_in(&self.v4, address.into()),
            IpAddr::V6(address) => is_in(&self.v6, address.into()),
        }
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Are there none?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Of networks in order that share no address, the last that begins no later can have it.
fn is_in<W: Word>(nets: &[Net<W>], address: W) -> bool {
    let place = nets.partition_point(|net| net.first() <= address);
    let net = place.checked_sub(1).and_then(|before| nets.get(before));
    net.is_some_and(|net| net.covers(Net::single(address)))
}

fn merge<W: Word>(nets: &mut Vec<Net<W>>, merged: &mut Merged) {
    nets.sort_unstable();
    let mut last: Option<Net<W>> = None;
    // A network that covers another one comes before it, and only the latest that was kept can cover this one.
    nets.retain(|net| match last {
        Some(before) if before == *net => {
            merged.duplicates += 1;
            false
        }
        Some(before) if before.covers(*net) => {
            merged.covered += 1;
            false
        }
        _ => {
            last = Some(*net);
            true
        }
    });
    nets.shrink_to_fit();
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Networks that meet often: of few bits, which stand in the upper half of the address.
    fn nets() -> impl Strategy<Value = Vec<Net<u32>>> {
        let net = (0_u32..256, 24_u8..=32).prop_map(|(low, length)| Net::around(0xc633_6400 | low, length));
        proptest::collection::vec(net, 0..60)
    }

    proptest! {
        #[test]
        fn a_set_holds_the_same_addresses_once(nets in nets()) {
            let (set, merged) = NetSet::new(Nets { v4: nets.clone(), v6: Vec::new() });
            for low in 0..256 {
                let address = Net::single(0xc633_6400 | low);
                let listed = nets.iter().any(|net| net.covers(address));
                let held = set.v4().iter().filter(|net| net.covers(address)).count();
                prop_assert_eq!(held, usize::from(listed));
                prop_assert_eq!(set.has(std::net::Ipv4Addr::from(0xc633_6400 | low).into()), listed);
            }
            let out = usize::try_from(merged.duplicates + merged.covered).unwrap();
            prop_assert_eq!(set.len() + out, nets.len());
            prop_assert!(set.v4().is_sorted());
        }
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let mut nets = Nets::default();
        for (text, length) in [
            ("198.51.100.7", 32),
            ("198.51.100.0", 24),
            ("198.51.100.7", 32),
            ("198.51.100.0", 24),
            ("2001:db8::1", 128),
            ("2001:db8::", 32),
        ] {
            nets.add(text.parse().unwrap(), length);
        }
        let (set, merged) = NetSet::new(nets);
        assert_eq!((set.v4().len(), set.v6().len()), (1, 1));
        assert_eq!(merged, Merged { duplicates: 1, covered: 3 });
        assert!(!set.is_empty() && NetSet::default().is_empty());
    }
}
