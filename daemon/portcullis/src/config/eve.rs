//! `[outputs.eve-log]`: which records are written, where, with which details.

use super::diagnostic::Diagnostic;
use super::section::Section;
use super::value::words;
use std::path::PathBuf;

words! {
    /// A kind of EVE record.
    pub RecordType {
        /// A rule matched.
        Alert = "alert",
        /// A packet was dropped.
        Drop = "drop",
        /// A flow ended.
        Flow = "flow",
        /// Counters.
        Stats = "stats",
        /// A flow ended, one record a direction.
        Netflow = "netflow",
        /// Something was not as the protocol says.
        Anomaly = "anomaly",
    }
}

/// The kinds that are written unless others are asked for: those of the shipped suricata.yaml, and
/// drops, for the gate is inline.
const USUAL: [RecordType; 4] = [RecordType::Alert, RecordType::Drop, RecordType::Flow, RecordType::Stats];

words! {
    /// `outputs.eve-log.drop.flows`: which drops are reported.
    pub DropFlows {
        /// The first of each direction of a flow.
        Start = "start",
        /// Every dropped packet.
        All = "all",
    }
}

words! {
    /// Where records go: `outputs.eve-log.filetype`.
    pub FileType {
        /// To a file.
        Regular = "regular",
    }
}

/// `[outputs.eve-log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EveConfig {
    /// Is anything written at all?
    pub enabled: bool,
    /// Where records go.
    pub filetype: FileType,
    /// The file; a relative name is taken from the log directory.
    pub filename: PathBuf,
    /// The kinds that are written.
    pub types: Vec<RecordType>,
    /// MAC addresses in every record.
    pub ethernet: bool,
    /// `metadata` (flow bits) in every record.
    pub metadata: bool,
    /// The community id in every record.
    pub community_id: bool,
    /// What it is salted with: the same in all tools whose records are to be compared.
    pub community_id_seed: u16,
    /// IPv6 addresses in their short form.
    pub compress_ipv6: bool,
    /// `[outputs.eve-log.alert]`.
    pub alert: AlertConfig,
    /// `[outputs.eve-log.drop]`.
    pub drop: DropConfig,
    /// `outputs.eve-log.flow.exception-policy`: which exception policies were applied to a flow.
    pub flow_exception_policy: bool,
}

/// `[outputs.eve-log.alert]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertConfig {
    /// The payload in Base64.
    pub payload: bool,
    /// The payload's printable characters.
    pub payload_printable: bool,
    /// The payload's length.
    pub payload_length: bool,
    /// The frame in Base64.
    pub packet: bool,
    /// What else is said about flow and rule.
    pub metadata: AlertMetadata,
    /// The final verdict on the packet.
    pub verdict: bool,
}

/// `outputs.eve-log.alert.metadata`: yes, no, or a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertMetadata {
    /// `flow`: the flow so far.
    pub flow: bool,
    /// `rule.metadata`: the rule's metadata.
    pub rule_metadata: bool,
    /// `rule.raw`: the rule as written.
    pub rule_raw: bool,
    /// `rule.reference`: the rule's references.
    pub rule_reference: bool,
}

/// `[outputs.eve-log.drop]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropConfig {
    /// The alert that caused it.
    pub alerts: bool,
    /// Which drops are reported.
    pub flows: DropFlows,
    /// The final verdict on the packet.
    pub verdict: bool,
}

impl EveConfig {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        Self {
            enabled: section.or("enabled", true),
            filetype: section.or("filetype", FileType::Regular),
            filename: section.or("filename", PathBuf::from("eve.json")),
            types: types(section),
            ethernet: section.or("ethernet", false),
            metadata: section.or("metadata", true),
            community_id: section.or("community-id", false),
            community_id_seed: section.or("community-id-seed", 0),
            compress_ipv6: section.or("compress-ipv6", false),
            alert: section.section("alert", AlertConfig::read),
            drop: section.section("drop", DropConfig::read),
            flow_exception_policy: section.section("flow", |flow| flow.or("exception-policy", false)),
        }
    }
}

/// Reads `types`; a kind that is not written is taken out with a warning.
fn types(section: &mut Section<'_>) -> Vec<RecordType> {
    let Some(wanted) = section.optional::<Vec<RecordType>>("types") else { return USUAL.to_vec() };
    let mut types = Vec::new();
    for kind in wanted {
        if kind == RecordType::Anomaly {
            let message = format!("{} records are not written", kind.word());
            section.note(Diagnostic::warning(message, section.place("types")));
        } else if !types.contains(&kind) {
            types.push(kind);
        }
    }
    types
}

impl AlertConfig {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            payload: section.or("payload", false),
            payload_printable: section.or("payload-printable", false),
            payload_length: section.or("payload-length", false),
            packet: section.or("packet", false),
            metadata: AlertMetadata::read(section),
            verdict: section.or("verdict", false),
        }
    }
}

impl AlertMetadata {
    fn read(alert: &mut Section<'_>) -> Self {
        if !alert.is_table("metadata") {
            let wanted = alert.or("metadata", true);
            return Self { flow: wanted, rule_metadata: wanted, rule_raw: false, rule_reference: false };
        }
        alert.section("metadata", |section| {
            let flow = section.or("flow", true);
            section.section("rule", |rule| {
                let rule_raw = rule.or("raw", false);
                if rule_raw {
                    let message = "`raw` is not carried out: the texts of rules are not kept";
                    rule.note(Diagnostic::warning(message, rule.place("raw")));
                }
                Self {
                    flow,
                    rule_metadata: rule.or("metadata", true),
                    rule_raw,
                    rule_reference: rule.or("reference", false),
                }
            })
        })
    }
}

impl DropConfig {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            alerts: section.or("alerts", false),
            flows: section.or("flows", DropFlows::Start),
            verdict: section.or("verdict", false),
        }
    }
}
