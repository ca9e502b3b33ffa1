//! `[capture.dpdk]`: DPDK's ports and what they are opened with.

use super::section::Section;
use super::tree::{Node, Value};
use super::value::{Setting, Size, expected};

/// `[capture.dpdk]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DpdkConfig {
    /// `eal-args`: arguments for DPDK's environment, after those made from the other settings.
    pub eal_args: Vec<String>,
    /// `huge-pages`: memory from huge pages?
    pub huge_pages: bool,
    /// `memory`: bytes of memory where it is not from huge pages, in whole mebibytes.
    pub memory: u64,
    /// `ports`: the device of each interface name that inline sets use.
    pub ports: Vec<(String, String)>,
    /// `queues`: pairs of queues of each port; `None`: one a worker.
    pub queues: Option<u16>,
    /// `rx-descriptors`: entries of each receive ring.
    pub rx_descriptors: u16,
    /// `tx-descriptors`: entries of each transmit ring.
    pub tx_descriptors: u16,
    /// `mempool-size`: packet buffers; `None`: enough.
    pub mempool_size: Option<u32>,
    /// `mbuf-size`: bytes of a packet that a buffer takes; `None`: a whole packet.
    pub mbuf_size: Option<u16>,
    /// `checksum-checks-offload`: should devices check checksums, where they can?
    pub checksum_offload: bool,
    /// `promisc`: should ports receive what is not addressed to them?
    pub promisc: bool,
    /// `mtu`: of all ports; `None`: what they have.
    pub mtu: Option<u16>,
    /// `busy-poll-us`: microseconds a worker looks at its rings before it sleeps.
    pub busy_poll_us: u32,
    /// `longest-sleep-us`: longest sleep of an idle worker in microseconds; 0: it never sleeps.
    pub longest_sleep_us: u32,
}

/// A number, or `auto`.
struct Auto(Option<u32>);

impl Setting for Auto {
    fn read(node: &Node) -> Result<Self, String> {
        if matches!(&node.value, Value::String(word) if word == "auto") {
            return Ok(Self(None));
        }
        let number = u32::read(node);
        number
            .map(|number| Self(Some(number)))
            .map_err(|reason| reason.replace("a whole number", "auto or a whole number"))
    }
}

impl DpdkConfig {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let small = |number: Option<u32>| number.map(|number| u16::try_from(number).unwrap_or(u16::MAX));
        let Size(memory) = section.or("memory", Size(1 << 30));
        if !(16 << 20..=1 << 40).contains(&memory) || memory % (1 << 20) != 0 {
            let reason = "expected whole mebibytes, 16mb to 1024gb";
            section.bad_value("memory", reason, &section.place("memory"));
        }
        Self {
            eal_args: section.or("eal-args", Vec::new()),
            huge_pages: section.or("huge-pages", true),
            memory,
            ports: section.section("ports", ports),
            queues: small(auto(section, "queues", 1, 1024)),
            rx_descriptors: section.within("rx-descriptors", 1024, 32..=32_768),
            tx_descriptors: section.within("tx-descriptors", 1024, 32..=32_768),
            mempool_size: auto(section, "mempool-size", 1, 100_000_000),
            mbuf_size: small(auto(section, "mbuf-size", 1024, 16_384)),
            checksum_offload: section.or("checksum-checks-offload", true),
            promisc: section.or("promisc", true),
            mtu: small(auto(section, "mtu", 68, 9710)),
            busy_poll_us: section.within("busy-poll-us", 0, 0..=1000),
            longest_sleep_us: section.within("longest-sleep-us", 200, 0..=10_000),
        }
    }
}

fn auto(section: &mut Section<'_>, key: &'static str, least: u32, most: u32) -> Option<u32> {
    let Auto(number) = section.or(key, Auto(None));
    if let Some(number) = number
        && !(least..=most).contains(&number)
    {
        let reason = format!("{number} is not from {least} to {most}");
        section.bad_value(key, &reason, &section.place(key));
        return None;
    }
    number
}

fn ports(section: &mut Section<'_>) -> Vec<(String, String)> {
    let mut ports = Vec::new();
    for (name, entry) in section.free_entries() {
        match device(&entry.node) {
            Ok(device) => ports.push((name.to_owned(), device)),
            Err(reason) => section.bad_value(name, &reason, &entry.node.place),
        }
    }
    ports
}

/// What DPDK's `-a` or `--vdev` takes.
fn device(node: &Node) -> Result<String, String> {
    let Value::String(text) = &node.value else {
        return expected("a PCI address or a virtual device such as \"net_af_packet0,iface=eth1\"", node);
    };
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if text.is_empty() || text.starts_with(['-', ',']) || text.contains(odd) {
        return Err(format!("{text:?} is no device"));
    }
    Ok(text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CaptureModule, Inline, Sources, parse};

    fn read(text: &str) -> Result<DpdkConfig, String> {
        let sources = Sources { text: format!("[capture.dpdk]\n{text}"), ..Sources::default() };
        let loaded = parse(sources, Inline::ByCopyMode).map_err(|error| error.to_string())?;
        Ok(loaded.config.capture.dpdk)
    }

    #[test]
    fn every_setting_is_read() {
        let config = read(
            r#"
            eal-args = ["--iova-mode=va"]
            huge-pages = "no"
            memory = "256mb"
            ports = { a = "0000:03:00.0", b = "net_af_packet0,iface=eth1" }
            queues = 2
            rx-descriptors = 512
            tx-descriptors = 256
            mempool-size = 8191
            mbuf-size = 2048
            checksum-checks-offload = false
            promisc = false
            mtu = 9000
            busy-poll-us = 50
            longest-sleep-us = 0
            "#,
        );
        let ports = [("a", "0000:03:00.0"), ("b", "net_af_packet0,iface=eth1")];
        let expected = DpdkConfig {
            eal_args: vec!["--iova-mode=va".to_owned()],
            huge_pages: false,
            memory: 256 << 20,
            ports: ports.map(|(name, device)| (name.to_owned(), device.to_owned())).to_vec(),
            queues: Some(2),
            rx_descriptors: 512,
            tx_descriptors: 256,
            mempool_size: Some(8191),
            mbuf_size: Some(2048),
            checksum_offload: false,
            promisc: false,
            mtu: Some(9000),
            busy_poll_us: 50,
            longest_sleep_us: 0,
        };
        assert_eq!(config, Ok(expected));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let check = |text: &str, expected: &str| {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("ports = { a = 5 }", "PCI address");
        check("ports = { a = \"--vdev\" }", "no device");
        check("ports = { a = \"\" }", "no device");
        check("queues = \"some\"", "auto or a whole number");
        check("queues = 0", "1 to 1024");
        check("rx-descriptors = 8", "rx-descriptors");
        check("mbuf-size = 100", "1024 to 16384");
        check("mtu = 10000", "68 to 9710");
        check("memory = \"1mb\"", "16mb");
        check("memory = 20000001", "mebibytes");
        check("longest-sleep-us = 20000", "longest-sleep-us");
        check("queue = 2", "did you mean `capture.dpdk.queues`?");
    }

    #[test]
    fn the_module_is_chosen_by_name() {
        let sources = Sources { text: "capture.module = \"dpdk\"".to_owned(), ..Sources::default() };
        let config = parse(sources, Inline::ByCopyMode).unwrap().config;
        assert_eq!(config.capture.module, CaptureModule::Dpdk);
    }
}
