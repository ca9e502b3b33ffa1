//! From the configuration to the settings of the crates below, none of which knows it.

use crate::cli::FaultArgs;
use crate::config::{
    self, Config, CopyMode, DefragConfig, DropFlows, EveConfig, InvalidPolicy, RecordType, StreamConfig,
    Timeouts, UrgentWord,
};
use portcullis_defrag::{DefragSettings, OverlapPolicy};
use portcullis_engine::{
    BudgetPolicy, DropRecords, EngineSettings, ExceptionPolicies, Faults, LiveSettings, MidstreamGrace,
    RecordSettings,
};
use portcullis_eve::{AlertOptions, DropOptions, EveOptions, EventTypes};
use portcullis_flow::{FlowSettings, FlowTimeouts, KeyOptions};
use portcullis_stream::{Reassembly, StreamSettings, Urgent, UrgentPolicy};
use portcullis_wire::NetworkMap;
use std::time::Duration;

/// The flow tables' settings. A `live` gate has all memory at start, for the first touch of a page
/// takes long enough to lose packets; a replay takes it as it goes.
#[must_use]
pub fn flow(config: &Config, live: bool) -> FlowSettings {
    FlowSettings {
        rate_tracking: config.flow.rate_tracking,
        memcap: config.flow.memcap,
        prealloc: config.flow.prealloc,
        emergency_recovery: config.flow.emergency_recovery,
        timeouts: flow_timeouts(config),
        key: KeyOptions {
            vlan: config.tracking.vlan,
            recursion_level: config.tracking.recursion_level,
            inline_set: config.tracking.livedev,
        },
        populate: live,
        midstream: config.stream.midstream,
        ..FlowSettings::default()
    }
}

/// How long flows may be silent.
#[must_use]
pub fn flow_timeouts(config: &Config) -> FlowTimeouts {
    let times = &config.flow_timeouts;
    FlowTimeouts {
        default: timeouts(&times.default),
        tcp: timeouts(&times.tcp),
        udp: timeouts(&times.udp),
        icmp: timeouts(&times.icmp),
    }
}

fn timeouts(times: &Timeouts) -> portcullis_flow::Timeouts {
    let (normal, emergency) = (times.normal, times.emergency);
    portcullis_flow::Timeouts {
        new: seconds(normal.new),
        established: seconds(normal.established),
        closed: seconds(normal.closed),
        bypassed: seconds(normal.bypassed),
        emergency_new: seconds(emergency.new),
        emergency_established: seconds(emergency.established),
        emergency_closed: seconds(emergency.closed),
        emergency_bypassed: seconds(emergency.bypassed),
    }
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

/// What the EVE formatter writes; `interfaces` are the names of the ports, by number.
#[must_use]
pub fn eve(config: &EveConfig, interfaces: Vec<String>) -> EveOptions {
    let mut types = EventTypes::NONE;
    for kind in &config.types {
        types.enable(kind.word());
    }
    let (alert, drop) = (&config.alert, &config.drop);
    EveOptions {
        types,
        interfaces,
        metadata: config.metadata,
        ethernet: config.ethernet,
        community_id: config.community_id.then_some(config.community_id_seed),
        compress_ipv6: config.compress_ipv6,
        alert: AlertOptions {
            payload: alert.payload,
            payload_printable: alert.payload_printable,
            payload_length: alert.payload_length,
            packet: alert.packet,
            flow: alert.metadata.flow,
            rule_metadata: alert.metadata.rule_metadata,
            rule_raw: alert.metadata.rule_raw,
            rule_reference: alert.metadata.rule_reference,
            verdict: alert.verdict,
        },
        drop: DropOptions {
            alerts: drop.alerts,
            flows: match drop.flows {
                DropFlows::Start => portcullis_eve::DropFlows::Start,
                DropFlows::All => portcullis_eve::DropFlows::All,
            },
            verdict: drop.verdict,
        },
        flow_exception_policy: config.flow_exception_policy,
    }
}

/// What the engine is told. `inline`: packets may be dropped; `live`: packets come from a device, and then
/// `copy-mode` says whether anything may be sent.
#[must_use]
pub fn engine(config: &Config, inline: bool, live: bool, seed: u64) -> EngineSettings {
    EngineSettings {
        timeout_overrides: config.flow_timeouts.overrides.clone(),
        inline_sets: inline_sets(config),
        would_drop: would_drop(config),
        inline,
        flow: flow(config, live),
        defrag: defrag(config, inline, live),
        may_send: inline && (!live || config.copy_mode == CopyMode::Ips),
        policies: policies(config),
        faults: Faults::default(),
        budget_policy: match config.budget_policy {
            config::BudgetPolicy::DropFlow => BudgetPolicy::DropFlow,
            config::BudgetPolicy::DropPacket => BudgetPolicy::DropPacket,
            config::BudgetPolicy::Ignore => BudgetPolicy::Ignore,
        },
        drop_invalid: config.decoder.invalid_policy == InvalidPolicy::Drop,
        drop_unknown_ethertypes: config.decoder.unknown_ethertype_policy == InvalidPolicy::Drop,
        decoder: decoder(config),
        stream: StreamSettings {
            host_os: NetworkMap::new(config.host_os.0.clone()),
            ..stream(&config.stream)
        },
        stream_drop_invalid: config.stream.drop_invalid,
        midstream_grace: MidstreamGrace {
            time: Duration::from_secs(u64::from(config.stream.midstream_grace)),
            flows: config.stream.midstream_grace_flows,
        },
        records: records(&config.eve, live),
        // Only who runs live can be asked.
        drop_notes: if live && inline { DROP_NOTES } else { 0 },
        offload: live && config.copy_mode == CopyMode::Ips && config.verdict_cache.entries > 0,
        seed,
        spread: None,
    }
}

/// How many of its last drops each worker keeps: a quarter of a megabyte.
const DROP_NOTES: usize = 2048;

/// The inline set of each port: they are numbered as they stand in the configuration.
fn inline_sets(config: &Config) -> Vec<u8> {
    let sets = config.inline_sets.iter().zip(0..=u8::MAX);
    sets.flat_map(|(set, number)| std::iter::repeat_n(number, 2 * set.pairs.len())).collect()
}

/// Of each port, whether nothing is to be dropped that comes in by it.
fn would_drop(config: &Config) -> Vec<bool> {
    let sets = config.inline_sets.iter();
    sets.flat_map(|set| std::iter::repeat_n(set.would_drop, 2 * set.pairs.len())).collect()
}

/// The defragmenters' settings. What is only watched may be put together in more ways than one: then the
/// receiver's is the one that counts.
#[must_use]
pub fn defrag(config: &Config, inline: bool, live: bool) -> DefragSettings {
    let watched = !inline || live && config.copy_mode != CopyMode::Ips;
    let DefragConfig { memcap, memcap_policy: _, trackers, max_frags, prealloc, timeout, timeouts } =
        &config.defrag;
    let policies = config.host_os.0.iter().map(|(network, system)| (*network, OverlapPolicy::of(*system)));
    DefragSettings {
        memcap: *memcap,
        trackers: *trackers,
        max_frags: *max_frags,
        // As for flows, a replay takes memory as it goes.
        prealloc: *prealloc && live,
        timeout: *timeout,
        timeouts: NetworkMap::new(timeouts.clone()),
        policies: NetworkMap::new(policies.collect()),
        inline: !watched,
        track_vlan: config.tracking.vlan,
        track_inline_set: config.tracking.livedev,
    }
}

/// TCP sessions and streams.
#[must_use]
pub fn stream(config: &StreamConfig) -> StreamSettings {
    let urgent = |word| match word {
        UrgentWord::Oob => UrgentPolicy::OutOfBand,
        UrgentWord::Inline => UrgentPolicy::Inline,
        UrgentWord::Drop => UrgentPolicy::Drop,
        UrgentWord::Gap => UrgentPolicy::Gap,
    };
    let reassembly = &config.reassembly;
    let [toserver_chunk_size, toclient_chunk_size] = reassembly.chunk_sizes;
    StreamSettings {
        memcap: config.memcap,
        prealloc_sessions: config.prealloc_sessions,
        midstream: config.midstream,
        async_oneside: config.async_oneside,
        inline: config.inline,
        bypass: config.bypass,
        max_syn_queued: config.max_syn_queued,
        max_synack_queued: config.max_synack_queued,
        liberal_timestamps: config.liberal_timestamps,
        reassembly: Reassembly {
            memcap: reassembly.memcap,
            depth: reassembly.depth,
            toserver_chunk_size,
            toclient_chunk_size,
            randomize_chunk_range: reassembly.randomize_chunk_range,
            segment_prealloc: reassembly.segment_prealloc,
            max_regions: reassembly.max_regions,
            check_overlap_different_data: reassembly.check_overlap_different_data,
            urgent: Urgent {
                policy: urgent(reassembly.urgent),
                limit_policy: urgent(reassembly.urgent_limit),
            },
        },
        ..StreamSettings::default()
    }
}

/// What happens where a limit is met.
#[must_use]
pub const fn policies(config: &Config) -> ExceptionPolicies {
    ExceptionPolicies {
        flow_memcap: config.flow.memcap_policy,
        defrag_memcap: config.defrag.memcap_policy,
        stream_memcap: config.stream.memcap_policy,
        stream_reassembly_memcap: config.stream.reassembly.memcap_policy,
        stream_midstream: config.stream.midstream_policy,
        app_layer_error: config.app_layer.error_policy,
    }
}

/// What of the configuration running workers can take over.
#[must_use]
pub fn live(config: &Config) -> LiveSettings {
    LiveSettings {
        timeouts: flow_timeouts(config),
        timeout_overrides: config.flow_timeouts.overrides.clone(),
        policies: policies(config),
    }
}

/// The faults that the command line asks for.
#[must_use]
pub const fn faults(arguments: &FaultArgs) -> Faults {
    Faults {
        flow_memcap: arguments.simulate_packet_flow_memcap,
        defrag_memcap: arguments.simulate_packet_defrag_memcap,
        tcp_ssn_memcap: arguments.simulate_packet_tcp_ssn_memcap,
        tcp_reassembly_memcap: arguments.simulate_packet_tcp_reassembly_memcap,
        packet_loss: arguments.simulate_packet_loss,
    }
}

fn decoder(config: &Config) -> portcullis_wire::DecoderConfig {
    let decoder = &config.decoder;
    portcullis_wire::DecoderConfig {
        validate_checksums: config.stream.checksum_validation,
        max_layers: decoder.max_layers,
        vxlan: decoder.vxlan,
        geneve: decoder.geneve,
        teredo: decoder.teredo,
        erspan_type1: decoder.erspan_type1,
    }
}

/// Which records workers make: what is not written need not be made.
fn records(eve: &EveConfig, live: bool) -> RecordSettings {
    let wanted = |kind: RecordType| eve.enabled && eve.types.contains(&kind);
    RecordSettings {
        alert: wanted(RecordType::Alert),
        alert_payload: eve.alert.payload || eve.alert.payload_printable,
        alert_packet: eve.alert.packet,
        drop: match eve.drop.flows {
            _ if !wanted(RecordType::Drop) => DropRecords::Off,
            DropFlows::Start => DropRecords::Start,
            DropFlows::All => DropRecords::All,
        },
        flow: wanted(RecordType::Flow),
        netflow: wanted(RecordType::Netflow),
        ethernet: eve.ethernet,
        exception_policy: eve.flow_exception_policy,
        pcap_cnt: !live,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Inline, Sources, parse};

    #[test]
    fn defaults_agree_with_those_of_the_crates_below() {
        let config = parse(Sources::default(), Inline::No).unwrap().config;
        assert_eq!(flow(&config, false), FlowSettings::default());
        assert_eq!(eve(&config.eve, Vec::new()).types, EveOptions::default().types);
        assert_eq!(eve(&config.eve, Vec::new()).alert, EveOptions::default().alert);
    }

    #[test]
    fn records_that_are_not_written_are_not_made() {
        let made = |overrides: &[&str]| {
            let overrides = overrides.iter().map(|text| (*text).to_owned()).collect();
            let config = parse(Sources { overrides, ..Sources::default() }, Inline::No).unwrap().config;
            engine(&config, true, false, 1).records
        };
        assert_eq!(made(&[]), RecordSettings::default());
        let none = made(&["outputs.eve-log.enabled=no"]);
        assert!(!none.alert && !none.flow && none.drop == DropRecords::Off);
        let some = made(&["outputs.eve-log.types=netflow", "outputs.eve-log.alert.payload-printable=yes"]);
        assert!(some.netflow && !some.flow && some.alert_payload && !some.alert_packet);
        assert_eq!(made(&["outputs.eve-log.drop.flows=all"]).drop, DropRecords::All);
    }

    #[test]
    fn ports_know_their_inline_set() {
        let sets =
            r#"inline-set=[{name="a",pairs=[["p0","p1"],["p2","p3"]]},{name="b",pairs=[["p4","p5"]]}]"#;
        let sources = Sources { text: sets.to_owned(), ..Sources::default() };
        let config = parse(sources, Inline::No).unwrap().config;
        assert_eq!(engine(&config, true, false, 1).inline_sets, [0, 0, 0, 0, 1, 1]);
    }

    #[test]
    fn every_kind_of_record_that_can_be_asked_for_is_turned_on() {
        let kinds = r#"outputs.eve-log.types=["alert", "drop", "flow", "netflow", "stats"]"#;
        let sources = Sources { overrides: vec![kinds.to_owned()], ..Sources::default() };
        let types = eve(&parse(sources, Inline::No).unwrap().config.eve, Vec::new()).types;
        assert_eq!(types, EventTypes { netflow: true, ..EventTypes::default() });
    }
}
