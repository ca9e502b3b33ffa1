//! What an interface tells of itself beyond what the gate needs: for those who look whether it is fit.

use crate::attach::AttachedMode;
use crate::device;
use crate::error::GateError;
use crate::sys;
use std::io;

// linux/ethtool.h
const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GPFLAGS: u32 = 0x27;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETHTOOL_GFEATURES: u32 = 0x3a;
const ETHTOOL_GRSSH: u32 = 0x46;
const ETH_SS_PRIV_FLAGS: u32 = 2;
const ETH_SS_FEATURES: u32 = 4;
/// Words of `struct ethtool_drvinfo`, and where they hold what.
const DRVINFO_WORDS: usize = 49;
const DRVINFO_DRIVER: usize = 1;
/// Words of one name (`ETH_GSTRING_LEN` bytes).
const NAME_WORDS: usize = 8;
/// Most names that are asked for: far more than any driver has.
const MAX_NAMES: usize = 512;
/// Words of `struct ethtool_rxfh` before table and key.
const RSS_HEAD: usize = 6;
/// Most words of table and key together.
const MAX_RSS: usize = 16_384;

/// The XDP program that stands at an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XdpProgram {
    /// The kernel's number of it.
    pub id: u32,
    /// Its name, at most 15 bytes; empty where it may not be asked for.
    pub name: String,
    /// Where it runs.
    pub mode: AttachedMode,
}

/// What an interface can do with XDP, and what it does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct XdpFacts {
    /// Programs run in the driver.
    pub native: bool,
    /// The driver hands frames on to others and takes theirs.
    pub redirect: bool,
    /// AF_XDP without copying.
    pub zero_copy: bool,
    /// Frames of several buffers.
    pub multi_buffer: bool,
    /// The kernel said so; before Linux 6.3 it tells nothing, and all of the above is `false`.
    pub known: bool,
    /// What is attached.
    pub program: Option<XdpProgram>,
}

/// A switch of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Its name, as `ethtool -k` (long form) or `--show-priv-flags` has it.
    pub name: String,
    /// Is it on?
    pub on: bool,
    /// Can it not be changed?
    pub fixed: bool,
}

/// How received packets are spread over queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rss {
    /// The queue of each hash, by its lowest bits.
    pub table: Vec<u32>,
    /// The key of the hash.
    pub key: Vec<u8>,
    /// Both directions of a flow are made alike before they are hashed.
    pub symmetric: bool,
}

/// What an interface can do with XDP.
///
/// # Errors
/// The interface is missing, or the kernel refuses.
pub fn xdp(name: &str) -> Result<XdpFacts, GateError> {
    let index = device::ifindex(name)?;
    let failed = |source| GateError::Device { name: name.to_owned(), what: "what XDP can do", source };
    let (id, mode) = sys::attached(index).map_err(failed)?;
    let program = (id != 0).then(|| XdpProgram {
        id,
        name: sys::program_name(id).unwrap_or_default(),
        mode: AttachedMode::of(mode),
    });
    let flags = sys::xdp_features(index).map_err(failed)?;
    Ok(XdpFacts { program, ..features_of(flags) })
}

/// From the bits of linux/netdev.h, `enum netdev_xdp_act`.
fn features_of(flags: u64) -> XdpFacts {
    let has = |bit: u32| flags & (1 << bit) != 0;
    XdpFacts {
        native: has(0),
        redirect: has(1) && has(2),
        zero_copy: has(3),
        multi_buffer: has(5),
        known: flags != 0,
        program: None,
    }
}

/// The driver's name; empty where there is none.
///
/// # Errors
/// The kernel's.
pub fn driver(name: &str) -> io::Result<String> {
    let mut words = [0; DRVINFO_WORDS];
    words[0] = ETHTOOL_GDRVINFO;
    sys::ethtool(name, &mut words)?;
    Ok(text(words.get(DRVINFO_DRIVER..DRVINFO_DRIVER + NAME_WORDS).unwrap_or_default()))
}

/// Switches that only this driver has; none for most drivers.
///
/// # Errors
/// The kernel's; `Unsupported` where the driver has none.
pub fn private_flags(name: &str) -> io::Result<Vec<Feature>> {
    let names = names(name, ETH_SS_PRIV_FLAGS)?;
    let mut words = [ETHTOOL_GPFLAGS, 0];
    sys::ethtool(name, &mut words)?;
    let [_, flags] = words;
    let feature =
        |(bit, name)| Feature { name, on: flags.checked_shr(bit).unwrap_or(0) & 1 != 0, fixed: false };
    Ok((0_u32..).zip(names).map(feature).collect())
}

/// The offloads, as `ethtool -k` lists them.
///
/// # Errors
/// The kernel's.
pub fn features(name: &str) -> io::Result<Vec<Feature>> {
    let names = names(name, ETH_SS_FEATURES)?;
    let blocks = names.len().div_ceil(32);
    let mut words = vec![0; 2 + blocks * 4];
    words[0] = ETHTOOL_GFEATURES;
    words[1] = u32::try_from(blocks).map_err(io::Error::other)?;
    sys::ethtool(name, &mut words)?;
    Ok(features_from(names, &words))
}

/// `struct ethtool_gfeatures`: for every 32 of them what can be changed, what is asked for, what is on, and what never
/// changes.
fn features_from(names: Vec<String>, words: &[u32]) -> Vec<Feature> {
    let feature = |(number, name): (usize, String)| {
        let block = words.get(2 + number / 32 * 4..)?.first_chunk::<4>()?;
        let [available, _, active, never] = block.map(|word| word >> (number % 32) & 1 != 0);
        (!name.is_empty()).then_some(Feature { name, on: active, fixed: !available || never })
    };
    names.into_iter().enumerate().filter_map(feature).collect()
}

/// How packets are spread over queues.
///
/// # Errors
/// The kernel's; `Unsupported` where the driver does not tell.
pub fn rss(name: &str) -> io::Result<Rss> {
    // First how long table and key are, then both.
    let mut head = [0; RSS_HEAD];
    head[0] = ETHTOOL_GRSSH;
    sys::ethtool(name, &mut head)?;
    let [_, _, entries, key_bytes, ..] = head;
    let length = entries as usize + (key_bytes as usize).div_ceil(4);
    if length > MAX_RSS {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut words = vec![0; RSS_HEAD + length];
    words[0] = ETHTOOL_GRSSH;
    words[2] = entries;
    words[3] = key_bytes;
    sys::ethtool(name, &mut words)?;
    Ok(rss_from(&words))
}

/// `struct ethtool_rxfh`.
fn rss_from(words: &[u32]) -> Rss {
    let word = |at: usize| words.get(at).copied().unwrap_or(0);
    let entries = word(2) as usize;
    // hfunc, input_xfrm and two spare bytes; RXH_XFRM_SYM_XOR and RXH_XFRM_SYM_OR_XOR.
    let [_, transform, ..] = word(4).to_ne_bytes();
    let table = words.iter().skip(RSS_HEAD).take(entries).copied().collect();
    let key = words.iter().skip(RSS_HEAD + entries).flat_map(|word| word.to_ne_bytes());
    Rss {
        table,
        key: key.take(word(3) as usize).collect(),
        symmetric: transform != 0xff && transform & 3 != 0,
    }
}

/// The names of a set of strings.
fn names(name: &str, set: u32) -> io::Result<Vec<String>> {
    // Which sets are asked for, as a mask of 64 bits; answered are the lengths of those that are there.
    let mut info = [ETHTOOL_GSSET_INFO, 0, 1 << set, 0, 0];
    sys::ethtool(name, &mut info)?;
    let [_, _, there, _, count] = info;
    if there == 0 || count == 0 {
        return Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP));
    }
    let count = count as usize;
    if count > MAX_NAMES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // The kernel writes as many names as there are by then: there is room for more.
    let mut words = vec![0; 3 + MAX_NAMES * NAME_WORDS];
    words[0] = ETHTOOL_GSTRINGS;
    words[1] = set;
    words[2] = u32::try_from(count).map_err(io::Error::other)?;
    sys::ethtool(name, &mut words)?;
    let names = words.get(3..).unwrap_or_default().chunks(NAME_WORDS).take(count);
    Ok(names.map(text).collect())
}

/// A string that ends with a zero, or with its field.
fn text(words: &[u32]) -> String {
    let bytes = words.iter().flat_map(|word| word.to_ne_bytes()).take_while(|byte| *byte != 0);
    String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(bytes: &[u8]) -> Vec<u32> {
        let padded = bytes.chunks(4).map(|chunk| {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            u32::from_ne_bytes(word)
        });
        padded.collect()
    }

    #[test]
    fn strings_end_with_a_zero_or_their_field() {
        assert_eq!(text(&words(b"i40e\0rubbish")), "i40e");
        assert_eq!(text(&words(b"disable-fw-lldp!")), "disable-fw-lldp!");
        assert_eq!(text(&[]), "");
    }

    #[test]
    fn features_are_read_by_blocks() {
        let names = |count| (0..count).map(|number| format!("f{number}")).collect::<Vec<_>>();
        // Changeable, asked for, on, never changing: of 32 features, and of two more.
        let answer = [0, 2, 0b0011, 0, 0b0101, 0b0010, 0b01, 0, 0b10, 0];
        let features = features_from(names(34), &answer);
        let get = |number: usize| (features[number].on, features[number].fixed);
        assert_eq!(
            [get(0), get(1), get(2), get(3)],
            [(true, false), (false, true), (true, true), (false, true)]
        );
        assert_eq!([get(32), get(33)], [(false, false), (true, true)]);
        assert_eq!(features_from(names(40), &[0, 0]), []);
        assert_eq!(features_from(vec![String::new()], &answer), [], "a name that is not used");
    }

    #[test]
    fn table_and_key_follow_each_other() {
        let mut answer = vec![ETHTOOL_GRSSH, 0, 3, 6, 1, 0, 0, 1, 0];
        answer.extend(words(&[0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a]));
        let rss = rss_from(&answer);
        assert_eq!(rss.table, [0, 1, 0]);
        assert_eq!(rss.key, [0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a]);
        assert!(!rss.symmetric);
        answer[4] = u32::from_ne_bytes([1, 1, 0, 0]);
        assert!(rss_from(&answer).symmetric);
        answer[4] = u32::from_ne_bytes([1, 0xff, 0, 0]);
        assert!(!rss_from(&answer).symmetric, "no change of what is hashed");
    }

    #[test]
    fn what_xdp_can_do_is_told_by_bits() {
        assert!(!features_of(0).known);
        let all = features_of(0x7f);
        assert!(all.native && all.redirect && all.zero_copy && all.multi_buffer && all.known);
        let veth = features_of(0b10_0111 & !0b100);
        assert!(veth.native && !veth.redirect && !veth.zero_copy && veth.multi_buffer);
    }
}
