//! `[decoder]`.

use super::section::Section;
use super::tree::{Node, Value};
use super::value::{Setting, expected, words};
use super::vars::Vars;
use portcullis_wire::Ports;

/// Groups of ports that may refer to each other in a row.
const GROUP_DEPTH: usize = 8;

words! {
    /// `decoder.invalid-policy` and `decoder.unknown-ethertype-policy`: what happens inline to a frame
    /// that cannot be decoded, or looked into.
    pub InvalidPolicy {
        /// It is forwarded and counted.
        Accept = "accept",
        /// It is dropped and counted.
        Drop = "drop",
    }
}

/// `[decoder]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecoderConfig {
    /// What happens to frames that cannot be decoded.
    pub invalid_policy: InvalidPolicy,
    /// What happens to frames with an EtherType that announces nothing known.
    pub unknown_ethertype_policy: InvalidPolicy,
    /// Most headers and tags that are decoded beyond a link and a network header.
    pub max_layers: u8,
    /// UDP destination ports of VXLAN.
    pub vxlan: Ports,
    /// UDP destination ports of Geneve.
    pub geneve: Ports,
    /// UDP ports of Teredo, on either side.
    pub teredo: Ports,
    /// `erspan.typeI.enabled`.
    pub erspan_type1: bool,
    /// `recursion-level.use-for-tracking`.
    pub(crate) recursion_level: bool,
}

impl DecoderConfig {
    pub(crate) fn read(section: &mut Section<'_>, vars: &Vars) -> Self {
        let shipped = portcullis_wire::DecoderConfig::default();
        Self {
            invalid_policy: section.or("invalid-policy", InvalidPolicy::Accept),
            unknown_ethertype_policy: section.or("unknown-ethertype-policy", InvalidPolicy::Accept),
            max_layers: section.within("max-layers", shipped.max_layers, 1..=u8::MAX),
            vxlan: section.section("vxlan", |inner| tunnel_ports(inner, vars, "$VXLAN_PORTS")),
            geneve: section.section("geneve", |inner| tunnel_ports(inner, vars, "$GENEVE_PORTS")),
            teredo: section.section("teredo", |inner| tunnel_ports(inner, vars, "$TEREDO_PORTS")),
            erspan_type1: section.section("erspan", |inner| {
                inner.section("typeI", |inner| inner.or("enabled", shipped.erspan_type1))
            }),
            recursion_level: section.section("recursion-level", |inner| inner.or("use-for-tracking", true)),
        }
    }
}

/// `enabled` and `ports` of a tunnel.
fn tunnel_ports(section: &mut Section<'_>, vars: &Vars, shipped: &str) -> Ports {
    let enabled = section.or("enabled", true);
    let PortList(text) = section.or("ports", PortList(shipped.to_owned()));
    match resolve(&text, vars) {
        Ok(ports) if enabled => ports,
        Ok(_) => Ports::NONE,
        Err(reason) => {
            section.bad_value("ports", &reason, &section.place("ports"));
            Ports::NONE
        }
    }
}

/// Ports as rules write them; an array is taken as the list of its items.
struct PortList(String);

impl Setting for PortList {
    fn read(node: &Node) -> Result<Self, String> {
        match &node.value {
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(String::read).collect::<Result<_, _>>()?;
                Ok(Self(items.join(",")))
            }
            Value::Table(_) => expected("ports", node),
            _ => String::read(node).map(Self),
        }
    }
}

/// The ports that the text names: `any`, numbers, and groups of them.
fn resolve(text: &str, vars: &Vars) -> Result<Ports, String> {
    if text.trim() == "any" {
        return Ok(Ports::ANY);
    }
    let mut ports = Vec::new();
    collect(text, vars, GROUP_DEPTH, &mut ports)?;
    let most = portcullis_wire::config::PORTS;
    Ports::new(&ports).ok_or_else(|| format!("{} ports are too many, the most are {most}", ports.len()))
}

fn collect(text: &str, vars: &Vars, depth: usize, ports: &mut Vec<u16>) -> Result<(), String> {
    let Some(depth) = depth.checked_sub(1) else { return Err(format!("`{text}` refers to itself")) };
    let inner = text.trim().trim_start_matches('[').trim_end_matches(']');
    for item in inner.split(',').map(str::trim) {
        if let Some(name) = item.strip_prefix('$') {
            let group =
                vars.port_groups.get(name).ok_or_else(|| format!("there is no port group `{name}`"))?;
            collect(group, vars, depth, ports)?;
        } else {
            let port = item.parse().map_err(|_| format!("`{item}` is no port: expected a number"))?;
            ports.push(port);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Inline, Sources, parse};
    use super::*;

    fn set(overrides: &[&str]) -> Result<Config, String> {
        let overrides = overrides.iter().map(|text| (*text).to_owned()).collect();
        let parsed = parse(Sources { overrides, ..Sources::default() }, Inline::No);
        parsed.map(|parsed| parsed.config).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_those_of_the_decoder() {
        let decoder = set(&[]).unwrap().decoder;
        let shipped = portcullis_wire::DecoderConfig::default();
        assert_eq!(
            (decoder.vxlan, decoder.geneve, decoder.teredo),
            (shipped.vxlan, shipped.geneve, shipped.teredo)
        );
        assert_eq!((decoder.max_layers, decoder.erspan_type1), (shipped.max_layers, shipped.erspan_type1));
    }

    #[test]
    fn tunnels_are_configured() {
        let check = |setting: &str, ports: Ports| {
            assert_eq!(set(&[setting]).unwrap().decoder.vxlan, ports, "{setting}")
        };
        let ports = |list: &[u16]| Ports::new(list).unwrap();
        check("decoder.vxlan.ports=8472", ports(&[8472]));
        check("decoder.vxlan.ports=[4789, 8472]", ports(&[4789, 8472]));
        check("decoder.vxlan.ports=\"[4789, 8472]\"", ports(&[4789, 8472]));
        check("decoder.vxlan.ports=\"$GENEVE_PORTS\"", ports(&[6081]));
        check("vars.port-groups.VXLAN_PORTS=9999", ports(&[9999]));
        check("decoder.vxlan.ports=any", Ports::ANY);
        check("decoder.vxlan.enabled=false", Ports::NONE);
        assert!(set(&["decoder.erspan.typeI.enabled=true"]).unwrap().decoder.erspan_type1);
        assert_eq!(set(&["decoder.max-layers=3"]).unwrap().decoder.max_layers, 3);
        let drop = set(&["decoder.unknown-ethertype-policy=drop"]).unwrap();
        assert_eq!(drop.decoder.unknown_ethertype_policy, InvalidPolicy::Drop);
    }

    #[test]
    fn bad_ports_are_named() {
        let check = |settings: &[&str], expected: &str| {
            let error = set(settings).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check(&["decoder.vxlan.ports=[1,2,3,4,5]"], "5 ports are too many");
        check(&["decoder.teredo.ports=\"!80\""], "`!80` is no port");
        check(&["decoder.geneve.ports=70000"], "`70000` is no port");
        check(&["decoder.geneve.ports=\"$NONE\""], "there is no port group `NONE`");
        check(&["vars.port-groups.A=\"$A\"", "decoder.vxlan.ports=\"$A\""], "refers to itself");
        check(&["decoder.max-layers=0"], "max-layers");
    }
}
