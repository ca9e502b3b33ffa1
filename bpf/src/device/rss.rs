//! How a NIC spreads packets over its receive queues.

use crate::sys;
use std::io;

// linux/ethtool.h
const ETHTOOL_GRXFH: u32 = 0x29;
const ETHTOOL_SRXFH: u32 = 0x2a;
const ETHTOOL_GRSSH: u32 = 0x46;
const ETHTOOL_SRSSH: u32 = 0x47;
const ETH_RSS_HASH_TOP: u8 = 1;
const ETH_RXFH_INDIR_NO_CHANGE: u32 = u32::MAX;
const RXH_IP_SRC: u64 = 1 << 4;
const RXH_IP_DST: u64 = 1 << 5;

/// Words of `struct ethtool_rxfh` before the buckets and the key: cmd, rss_context, indir_size, key_size, hfunc and three
/// bytes, rsvd32.
const HEAD: usize = 6;

/// The table and the key (`ethtool -x`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rss {
    /// The key of its Toeplitz hash.
    pub key: Vec<u8>,
    /// The queue of each bucket.
    pub table: Vec<u32>,
}

impl Rss {
    /// Two bytes over and over: with them the hash is the same in both directions (Woo and Park, "Scalable TCP Session
    /// Monitoring with Symmetric Receive-side Scaling").
    pub const SYMMETRIC: [u8; 2] = [0x6d, 0x5a];

    /// Do both directions of a flow have the same hash? That is so with a key that repeats every two bytes.
    #[must_use]
    pub fn is_symmetric(&self) -> bool {
        self.key.len() > 1 && self.key.iter().zip(self.key.iter().skip(2)).all(|(one, other)| one == other)
    }

    /// A symmetric key as long as this one's.
    #[must_use]
    pub fn symmetric_key(&self) -> Vec<u8> {
        Self::SYMMETRIC.into_iter().cycle().take(self.key.len()).collect()
    }
}

/// How the interface spreads packets.
///
/// # Errors
/// The kernel's; `Unsupported` where the driver hides it, or the hash is another than Toeplitz.
pub fn rss(name: &str) -> io::Result<Rss> {
    // With sizes of 0 the kernel tells the sizes.
    let mut head = [ETHTOOL_GRSSH, 0, 0, 0, 0, 0];
    sys::ethtool(name, &mut head)?;
    let [_, _, buckets, key_bytes, ..] = head;
    if buckets == 0 || key_bytes == 0 || buckets > 65_536 || key_bytes > 1024 {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let words = (buckets + key_bytes.div_ceil(4)) as usize;
    let mut asked = vec![0; HEAD + words];
    if let Some(place) = asked.get_mut(..4) {
        place.copy_from_slice(&[ETHTOOL_GRSSH, 0, buckets, key_bytes]);
    }
    sys::ethtool(name, &mut asked)?;
    let is_toeplitz = asked.get(4).is_some_and(|word| word.to_ne_bytes().first() == Some(&ETH_RSS_HASH_TOP));
    let (table, key) = asked.get(HEAD..).unwrap_or_default().split_at(buckets as usize);
    let mut key: Vec<u8> = key.iter().flat_map(|word| word.to_ne_bytes()).collect();
    key.truncate(key_bytes as usize);
    if !is_toeplitz {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(Rss { key, table: table.to_vec() })
}

/// Sets the key, which must be as long as the one there is.
///
/// # Errors
/// The kernel's; `Unsupported` where the driver does not take one.
pub fn set_rss_key(name: &str, key: &[u8]) -> io::Result<()> {
    sys::ethtool(name, &mut with_key(key)?)
}

fn with_key(key: &[u8]) -> io::Result<Vec<u32>> {
    let length = u32::try_from(key.len()).map_err(io::Error::other)?;
    let mut words = vec![ETHTOOL_SRSSH, 0, ETH_RXFH_INDIR_NO_CHANGE, length, 0, 0];
    words.extend(key.chunks(4).map(|part| {
        let mut bytes = [0; 4];
        bytes.iter_mut().zip(part).for_each(|(byte, own)| *byte = *own);
        u32::from_ne_bytes(bytes)
    }));
    Ok(words)
}

/// Sets the queue of each bucket; there must be as many as there are.
///
/// # Errors
/// The kernel's; `Unsupported` where the driver's table is fixed.
pub fn set_rss_table(name: &str, table: &[u32]) -> io::Result<()> {
    let buckets = u32::try_from(table.len()).map_err(io::Error::other)?;
    let mut words = vec![ETHTOOL_SRSSH, 0, buckets, 0, 0, 0];
    words.extend(table);
    sys::ethtool(name, &mut words)
}

/// Packets of one kind, of which the same parts are hashed; the values are of linux/ethtool.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashedFlow {
    /// `TCP_V4_FLOW`
    Tcp4 = 1,
    /// `UDP_V4_FLOW`
    Udp4 = 2,
    /// `TCP_V6_FLOW`
    Tcp6 = 5,
    /// `UDP_V6_FLOW`
    Udp6 = 6,
}

impl HashedFlow {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tcp4, Self::Udp4, Self::Tcp6, Self::Udp6];
}

/// The parts of a packet that are hashed: bits `RXH_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashedBy(pub u64);

impl HashedBy {
    /// The addresses, and nothing else.
    pub const ADDRESSES: Self = Self(RXH_IP_SRC | RXH_IP_DST);
}

/// What of the packets of a kind is hashed.
///
/// # Errors
/// The kernel's; `Unsupported` where the driver does not tell.
pub fn hashed_by(name: &str, flow: HashedFlow) -> io::Result<HashedBy> {
    let mut words = [ETHTOOL_GRXFH, flow as u32, 0, 0];
    sys::ethtool(name, &mut words)?;
    let [_, _, one, other] = words.map(u32::to_ne_bytes);
    let mut bytes = [0; 8];
    bytes.iter_mut().zip(one.into_iter().chain(other)).for_each(|(byte, own)| *byte = own);
    Ok(HashedBy(u64::from_ne_bytes(bytes)))
}

/// Sets it.
///
/// # Errors
/// The kernel's; `Unsupported` or `InvalidInput` where the driver cannot.
pub fn set_hashed_by(name: &str, flow: HashedFlow, by: HashedBy) -> io::Result<()> {
    let [a, b, c, d, e, f, g, h] = by.0.to_ne_bytes();
    let halves = [u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])];
    sys::ethtool(name, &mut [ETHTOOL_SRXFH, flow as u32, halves[0], halves[1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symmetric_key_repeats_every_two_bytes() {
        let rss = |key: &[u8]| Rss { key: key.to_vec(), table: vec![0] };
        assert!(!rss(&[0x6d, 0x5a, 0x56, 0xda]).is_symmetric());
        assert!(rss(&[0x6d, 0x5a, 0x6d, 0x5a, 0x6d]).is_symmetric());
        assert!(!rss(&[]).is_symmetric());
        let own = rss(&[7; 52]).symmetric_key();
        assert!(own.len() == 52 && rss(&own).is_symmetric() && own.starts_with(&[0x6d, 0x5a, 0x6d]));
    }

    #[test]
    fn a_key_stands_behind_the_head() {
        let words = with_key(&[1, 2, 3, 4, 5, 6]).unwrap();
        let part = |bytes| u32::from_ne_bytes(bytes);
        assert_eq!(words, [0x47, 0, u32::MAX, 6, 0, 0, part([1, 2, 3, 4]), part([5, 6, 0, 0])]);
    }
}
