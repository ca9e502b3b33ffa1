//! What makes fragments parts of one datagram, and its seeded hash.

use portcullis_wire::Decoded;
use portcullis_wire::decoded::{Address, Fragment};
use portcullis_wire::mix::{self, finalise, fold};

/// Everything that tells datagrams apart: of IPv4 addresses, identification and protocol (RFC 791), of
/// IPv6 addresses and identification (RFC 8200: next headers may differ), of both VLAN ids, depth in
/// tunnels and inline set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DatagramKey {
    words: [u64; 6],
}

/// Which parts besides addresses, identification and protocol count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyScope {
    pub(crate) vlan: bool,
    pub(crate) inline_set: bool,
}

impl DatagramKey {
    pub(crate) fn of(decoded: &Decoded, fragment: Fragment, inline_set: u8, scope: KeyScope) -> Self {
        let [source_high, source_low] = halves(decoded.source);
        let [destination_high, destination_low] = halves(decoded.destination);
        let [outer, middle, inner] = if scope.vlan { decoded.vlans.raw() } else { [0; 3] };
        let vlans = u64::from(outer) << 24 | u64::from(middle) << 12 | u64::from(inner);
        let protocol = if decoded.ip_version == 4 { decoded.protocol } else { 0 };
        let set = if scope.inline_set { inline_set } else { 0 };
        let rest = u64::from(protocol) << 24
            | u64::from(decoded.ip_version) << 16
            | u64::from(decoded.recursion) << 8
            | u64::from(set);
        Self {
            words: [
                source_high,
                source_low,
                destination_high,
                destination_low,
                vlans << 28,
                u64::from(fragment.id) << 32 | rest,
            ],
        }
    }

    pub(crate) const fn is_ipv6(&self) -> bool {
        let [.., rest] = self.words;
        rest >> 16 & 0xff == 6
    }
}

fn halves(address: Address) -> [u64; 2] {
    let whole = u128::from_be_bytes(address);
    #[expect(clippy::cast_possible_truncation, reason = "the two halves are meant")]
    let halves = [(whole >> 64) as u64, whole as u64];
    halves
}

/// A hash that senders cannot foresee: the seed is new at every start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hasher {
    rounds: [u64; 6],
}

impl Hasher {
    pub(crate) fn new(seed: u64) -> Self {
        let mut next = mix::rounds(seed);
        let rounds = std::array::from_fn(|_| next.next().unwrap_or_default());
        Self { rounds }
    }

    pub(crate) fn hash(&self, key: &DatagramKey) -> u64 {
        let [a, b, c, d, e, f] = key.words;
        let [ra, rb, rc, rd, re, rf] = self.rounds;
        let addresses = fold(a ^ ra, b ^ rb) ^ fold(c ^ rc, d ^ rd).rotate_left(23);
        finalise(addresses ^ fold(e ^ re, f ^ rf))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_wire::decoded::{VlanIds, mapped};

    const SCOPE: KeyScope = KeyScope { vlan: true, inline_set: true };

    fn fragment(id: u32) -> Fragment {
        Fragment { id, offset: 0, more: true }
    }

    fn decoded(ip_version: u8, protocol: u8) -> Decoded {
        Decoded {
            ip_version,
            protocol,
            source: mapped([10, 0, 0, 1]),
            destination: mapped([10, 0, 0, 2]),
            ..Decoded::default()
        }
    }

    #[test]
    fn what_tells_datagrams_apart() {
        let key = |decoded: &Decoded, id, set, scope| DatagramKey::of(decoded, fragment(id), set, scope);
        let base = decoded(4, 17);
        let of_base = key(&base, 1, 0, SCOPE);
        assert_eq!(of_base, key(&base, 1, 0, SCOPE));
        assert_ne!(of_base, key(&base, 2, 0, SCOPE));
        assert_ne!(of_base, key(&base, 1, 1, SCOPE));
        assert_eq!(of_base, key(&base, 1, 1, KeyScope { inline_set: false, ..SCOPE }));
        assert_ne!(of_base, key(&decoded(4, 6), 1, 0, SCOPE));
        assert_ne!(of_base, key(&decoded(6, 17), 1, 0, SCOPE));
        assert_eq!(key(&decoded(6, 6), 1, 0, SCOPE), key(&decoded(6, 17), 1, 0, SCOPE));
        let back = Decoded { source: base.destination, destination: base.source, ..base };
        assert_ne!(of_base, key(&back, 1, 0, SCOPE));
        assert_ne!(of_base, key(&Decoded { recursion: 1, ..base }, 1, 0, SCOPE));
        let mut vlans = VlanIds::default();
        vlans.push(7);
        let tagged = Decoded { vlans, ..base };
        assert_ne!(of_base, key(&tagged, 1, 0, SCOPE));
        assert_eq!(of_base, key(&tagged, 1, 0, KeyScope { vlan: false, ..SCOPE }));
        assert!(!of_base.is_ipv6() && key(&decoded(6, 6), u32::MAX, 255, SCOPE).is_ipv6());
    }

    #[test]
    fn identifications_spread_over_buckets() {
        let hasher = Hasher::new(7);
        let mut buckets = [0_u32; 256];
        for id in 0..1 << 16 {
            let hash = hasher.hash(&DatagramKey::of(&decoded(4, 17), fragment(id), 0, SCOPE));
            buckets[usize::from(hash.to_le_bytes()[0])] += 1;
        }
        // 256 expected, standard deviation 16: five deviations.
        let (least, most) = (buckets.iter().min(), buckets.iter().max());
        assert!(least > Some(&176) && most < Some(&336), "{least:?} to {most:?}");
        let key = DatagramKey::of(&decoded(4, 17), fragment(1), 0, SCOPE);
        assert_ne!(hasher.hash(&key), Hasher::new(8).hash(&key));
    }
}
