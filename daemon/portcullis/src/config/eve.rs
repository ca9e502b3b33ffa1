//! `[outputs.eve-log]`: which records are written, where, with which details.

use super::diagnostic::Diagnostic;
use super::section::Section;
use super::value::{Size, words};
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

/// The kinds that are written.
const WRITTEN: [RecordType; 4] = [RecordType::Alert, RecordType::Drop, RecordType::Flow, RecordType::Stats];

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
    /// Flow hashes that other tools compute as well, in every record.
    pub community_id: bool,
    /// Seed of those hashes.
    pub community_id_seed: u16,
    /// MAC addresses in every record.
    pub ethernet: bool,
    /// `metadata` (flow variables) in every record.
    pub metadata: bool,
    /// `[outputs.eve-log.alert]`.
    pub alert: AlertConfig,
    /// `[outputs.eve-log.drop]`.
    pub drop: DropConfig,
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
    /// Most bytes of payload in a record.
    pub payload_buffer_size: u64,
    /// The frame in Base64.
    pub packet: bool,
    /// The rule's metadata.
    pub metadata: bool,
    /// The final verdict on the packet.
    pub verdict: bool,
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
            community_id: section.or("community-id", false),
            community_id_seed: section.or("community-id-seed", 0),
            ethernet: section.or("ethernet", false),
            metadata: section.or("metadata", true),
            alert: section.section("alert", AlertConfig::read),
            drop: section.section("drop", DropConfig::read),
        }
    }
}

/// Reads `types`; a kind that is not written is taken out with a warning.
fn types(section: &mut Section<'_>) -> Vec<RecordType> {
    let Some(wanted) = section.optional::<Vec<RecordType>>("types") else { return WRITTEN.to_vec() };
    let mut types = Vec::new();
    for kind in wanted {
        if !WRITTEN.contains(&kind) {
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
            payload_buffer_size: section.or("payload-buffer-size", Size(4096)).0,
            packet: section.or("packet", false),
            metadata: section.or("metadata", true),
            verdict: section.or("verdict", false),
        }
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
