//! `[[bypass]]`, `[allowlist]`, `[[blocklist]]` and `[lists]`: what the kernel decides by addresses alone.

use super::Place;
use super::overriding::{Ports, ProtocolName};
use super::section::Section;
use super::tree::Node;
use super::value::{Setting, expected, words};
use portcullis_lists::ListId;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// Most blocklists: the allow-list is one of a table's, too.
const MAX_BLOCKLISTS: usize = ListId::MAX - 1;

/// Most bypasses.
const MAX_BYPASSES: usize = portcullis_bpf::lists::MAX_BYPASSES;

/// The allow-list's name where lists are named; no blocklist can have it.
pub const ALLOWLIST: &str = "allowlist";

words! {
    /// `action` of a blocklist.
    pub ListAction {
        /// Packets are dropped in the kernel.
        Drop = "drop",
        /// Packets go on to inspection, counted and reported.
        Alert = "alert",
    }
}

words! {
    /// `direction` of a blocklist: the end that is looked up in it.
    pub ListDirection {
        /// The packet's source.
        Src = "src",
        /// The packet's destination.
        Dst = "dst",
        /// Either.
        Both = "both",
    }
}

/// `[[bypass]]`: traffic that goes to the peer port in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BypassConfig {
    /// Its name in answers; its number where it has none.
    pub name: String,
    /// `network`: where one end is, and how many bits count.
    pub network: (IpAddr, u8),
    /// `peer`: where the other end is; `None`: anywhere.
    pub peer: Option<(IpAddr, u8)>,
    /// `proto`; `None`: any.
    pub protocol: Option<u8>,
    /// `port`: of either end; `None`: any, or none.
    pub ports: Option<RangeInclusive<u16>>,
}

/// `[[blocklist]]`, and `[allowlist]` as far as it has these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListConfig {
    /// Its name.
    pub name: String,
    /// `files`, which together are one list.
    pub files: Vec<PathBuf>,
    /// `action`.
    pub action: ListAction,
    /// `direction`.
    pub direction: ListDirection,
    /// `force`: nothing is left out for what it is.
    pub force: bool,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListsConfig {
    /// `[[bypass]]`.
    pub bypasses: Vec<BypassConfig>,
    /// `[allowlist]`: its files. No packet to or from what is in it meets a blocklist.
    pub allow: Option<ListConfig>,
    /// `[[blocklist]]`, in their order.
    pub block: Vec<ListConfig>,
    /// `lists.max-entries`; `None`: one for every eight bytes of the files at start, at least 65,536.
    pub max_entries: Option<NonZeroU32>,
    /// `lists.max-change`, in percent: a reload that changes more of a list needs to be forced.
    pub max_change: u8,
    /// `lists.sample-every`: one packet in so many becomes a record; 0: none.
    pub sample_every: u32,
    /// `lists.samples-per-second`: at most so many, for each list and CPU.
    pub sample_most: u32,
}

impl ListsConfig {
    pub(crate) fn read(root: &mut Section<'_>, folder: &Path) -> Self {
        let bypasses = root.sections("bypass", read_bypass);
        let bypasses = named(root, "bypass", bypasses, MAX_BYPASSES);
        let block = root.sections("blocklist", |section| read_list(section, folder));
        let block = named(root, "blocklist", block, MAX_BLOCKLISTS);
        let allow =
            root.is_set(ALLOWLIST).then(|| root.section(ALLOWLIST, |section| read_allow(section, folder)));
        root.section("lists", |section| Self {
            bypasses,
            allow,
            block,
            max_entries: max_entries(section),
            max_change: section.within("max-change", 20, 1..=100),
            sample_every: section.or("sample-every", 1),
            sample_most: section.within("samples-per-second", 100, 1..=100_000),
        })
    }

    /// Is there anything for the kernel to look up?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bypasses.is_empty() && self.allow.is_none() && self.block.is_empty()
    }
}

/// What has a name, which has to be its own.
trait Named {
    fn name(&mut self) -> &mut String;
}

impl Named for BypassConfig {
    fn name(&mut self) -> &mut String {
        &mut self.name
    }
}

impl Named for ListConfig {
    fn name(&mut self) -> &mut String {
        &mut self.name
    }
}

/// Numbers those without a name, and says where two have the same, or there are too many.
fn named<T: Named>(root: &Section<'_>, key: &'static str, mut all: Vec<T>, most: usize) -> Vec<T> {
    let place = root.place(key);
    if all.len() > most {
        root.bad_value(
            key,
            &format!("{} of them are more than the {most} that there can be", all.len()),
            &place,
        );
        all.truncate(most);
    }
    let mut seen: Vec<String> = vec![ALLOWLIST.to_owned()];
    for (number, one) in (1..).zip(&mut all) {
        let name = one.name();
        if name.is_empty() {
            *name = format!("{key}-{number}");
        }
        if seen.contains(name) {
            root.bad_value(key, &format!("the name {name:?} is taken"), &place);
        }
        seen.push(name.clone());
    }
    all
}

fn read_bypass(section: &mut Section<'_>) -> BypassConfig {
    let network = section.optional::<NetText>("network").map(|NetText(net)| net);
    let peer = section.optional::<NetText>("peer").map(|NetText(net)| net);
    let protocol = section.optional::<ProtocolName>("proto").map(|ProtocolName(number)| number);
    let ports = section.optional::<Ports>("port").map(|Ports(ports)| ports);
    if !section.is_set("network") {
        let place = first_place(section, &["name", "peer", "proto", "port"]);
        section.bad_value("network", "a bypass has to say where one end is", &place);
    }
    if ports.is_some() && !matches!(protocol, Some(6 | 17)) {
        section.bad_value("port", "it needs proto = \"tcp\" or \"udp\"", &section.place("port"));
    }
    if let (Some((one, _)), Some((other, _))) = (network, peer)
        && one.is_ipv4() != other.is_ipv4()
    {
        section.bad_value("peer", "both ends must be of one family", &section.place("peer"));
    }
    BypassConfig {
        name: section.or("name", String::new()),
        network: network.unwrap_or((IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 32)),
        peer,
        protocol,
        ports,
    }
}

fn read_list(section: &mut Section<'_>, folder: &Path) -> ListConfig {
    ListConfig {
        name: section.or("name", String::new()),
        files: files(section, folder),
        action: section.or("action", ListAction::Drop),
        direction: section.or("direction", ListDirection::Both),
        force: section.or("force", false),
    }
}

fn read_allow(section: &mut Section<'_>, folder: &Path) -> ListConfig {
    ListConfig {
        name: ALLOWLIST.to_owned(),
        files: files(section, folder),
        action: ListAction::Alert,
        direction: ListDirection::Both,
        force: section.or("force", false),
    }
}

/// `files`, or the one `file`; relative names lead into the folder of the configuration file.
fn files(section: &mut Section<'_>, folder: &Path) -> Vec<PathBuf> {
    let files: Vec<PathBuf> = section.or("files", Vec::new());
    if files.is_empty() {
        let place = first_place(section, &["files", "name", "action", "direction", "force"]);
        section.bad_value("files", "a list needs at least one file", &place);
    }
    let base = if let Place::File(_) = section.place("files") { folder } else { Path::new("") };
    files.iter().map(|file| base.join(file)).collect()
}

fn first_place(section: &Section<'_>, keys: &[&str]) -> Place {
    let set = keys.iter().find(|key| section.is_set(key));
    set.map_or(Place::Nowhere, |key| section.place(key))
}

fn max_entries(section: &mut Section<'_>) -> Option<NonZeroU32> {
    match section.optional::<MaxEntries>("max-entries") {
        Some(MaxEntries(most)) => most,
        None => None,
    }
}

/// A number, or "auto".
struct MaxEntries(Option<NonZeroU32>);

impl Setting for MaxEntries {
    fn read(node: &Node) -> Result<Self, String> {
        const MOST: u32 = 16_000_000;
        if super::value::word(node) == Some("auto") {
            return Ok(Self(None));
        }
        match u32::read(node) {
            Ok(most @ 1..=MOST) => Ok(Self(NonZeroU32::new(most))),
            Ok(other) => Err(format!("{other} is not within 1 to {MOST}")),
            Err(_) => expected("a number of entries or \"auto\"", node),
        }
    }
}

/// An address, or a network such as `10.0.0.0/8`.
struct NetText((IpAddr, u8));

impl Setting for NetText {
    fn read(node: &Node) -> Result<Self, String> {
        let text = String::read(node)?;
        let (address, length) = text.split_once('/').map_or((text.as_str(), None), |(a, l)| (a, Some(l)));
        let net = address.parse::<IpAddr>().ok().and_then(|address| {
            let most = if address.is_ipv4() { 32 } else { 128 };
            let length = length.map_or(Some(most), |length| length.parse().ok())?;
            (length <= most).then_some((address, length))
        });
        net.map_or_else(|| expected("a network such as \"10.0.0.0/8\"", node), |net| Ok(Self(net)))
    }
}
