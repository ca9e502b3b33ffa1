//! The configuration as a whole: defaults, overrides, and what has no effect.

use super::*;
use portcullis_wire::{Network, TargetOs};

mod anything;
mod messages;
mod policies;
mod timeouts;

fn sources(text: &str, overrides: &[&str]) -> Sources {
    Sources {
        path: Some("gate/portcullis.toml".into()),
        text: text.to_owned(),
        overrides: overrides.iter().map(|text| (*text).to_owned()).collect(),
    }
}

fn good(text: &str, overrides: &[&str], inline: Inline) -> Config {
    match parse(sources(text, overrides), inline) {
        Ok(loaded) => loaded.config,
        Err(error) => panic!("{error}"),
    }
}

/// The text that is shown for the diagnostics of a configuration, whether it can be used or not.
fn shown(text: &str, overrides: &[&str]) -> String {
    let sources = sources(text, overrides);
    match parse(sources.clone(), Inline::ByCopyMode) {
        Ok(loaded) if loaded.warnings.is_empty() => String::new(),
        Ok(loaded) => sources.render(&loaded.warnings, false),
        Err(error) => error.to_string(),
    }
}

#[test]
fn defaults_are_those_of_the_shipped_suricata_yaml() {
    let config = good("", &[], Inline::ByCopyMode);
    let seconds = Duration::from_secs;
    let states = |times: StateTimeouts| {
        [times.new, times.established, times.closed, times.bypassed].map(|time| time.as_secs())
    };
    assert_eq!(config.flow.memcap, 128 << 20);
    assert_eq!(config.flow.prealloc, 10_000);
    assert_eq!(config.flow.emergency_recovery, 30);
    let timeouts = &config.flow_timeouts;
    assert_eq!(states(timeouts.default.normal), [30, 300, 0, 100]);
    assert_eq!(states(timeouts.default.emergency), [10, 100, 0, 50]);
    assert_eq!(states(timeouts.tcp.normal), [60, 600, 60, 100]);
    assert_eq!(states(timeouts.tcp.emergency), [5, 100, 10, 50]);
    assert_eq!(states(timeouts.udp.normal), [30, 300, 0, 100]);
    assert_eq!(states(timeouts.udp.emergency), [10, 100, 0, 50]);
    assert_eq!(timeouts.icmp, timeouts.udp);
    assert_eq!(config.tracking, Tracking { vlan: true, livedev: true, recursion_level: true });
    assert_eq!((config.defrag.memcap, config.defrag.timeout), (32 << 20, seconds(60)));
    assert_eq!((config.defrag.trackers, config.defrag.max_frags), (65_535, 65_535));
    assert!(config.defrag.prealloc && config.defrag.timeouts.is_empty());
    let all = Network::new(4, [0; 16], 0).unwrap();
    assert_eq!(config.host_os.0, [(all, TargetOs::Windows)]);
    assert_eq!(config.packet_alert_max, 15);
    assert_eq!(config.action_order.map(Action::word), ["pass", "drop", "reject", "alert"]);
    assert!(!config.stream.midstream);
    assert!(config.stream.checksum_validation);
    assert_eq!(config.stats_interval, Some(seconds(8)));
    assert_eq!(config.vars.address_groups["HOME_NET"], "[192.168.0.0/16,10.0.0.0/8,172.16.0.0/12]");
    assert_eq!(config.vars.address_groups["EXTERNAL_NET"], "!$HOME_NET");
    assert_eq!(config.vars.port_groups["HTTP_PORTS"], "80");
    assert_eq!(config.vars.port_groups["FILE_DATA_PORTS"], "[$HTTP_PORTS,110,143]");
    assert_eq!(config.eve.filename, Path::new("eve.json"));
    assert!(!config.eve.ethernet && !config.eve.compress_ipv6 && !config.eve.alert.payload);
    assert!(config.eve.metadata && config.eve.alert.metadata.flow && config.eve.alert.metadata.rule_metadata);
    assert_eq!(config.eve.drop, DropConfig { alerts: false, flows: DropFlows::Start, verdict: false });
    // Ours.
    assert_eq!(config.copy_mode, CopyMode::Ips);
    assert_eq!(config.fail, FailPolicy::Open);
    assert_eq!(config.overload, OverloadPolicy::Drop);
    let limits = (config.liveness.limit.as_millis(), config.liveness.full_limit.as_millis());
    assert_eq!((limits, config.liveness.latch_after), ((50, 20), 0));
    assert_eq!(config.liveness.latched_fail, None);
    assert_eq!((config.liveness.replace_after.as_secs(), config.liveness.outlive_warden), (10, true));
    assert_eq!(config.capture.workers, Workers::Auto);
    assert_eq!(config.capture.af_xdp.ring_size, 4096);
    assert_eq!(config.decoder.invalid_policy, InvalidPolicy::Accept);
    assert_eq!(config.control_socket.as_deref(), Some(Path::new(DEFAULT_SOCKET)));
}

#[test]
fn what_the_file_says_is_read() {
    let config = good(
        r#"
        copy-mode = "ids"
        fail = "link-down"
        overload = "bypass"
        liveness = { limit-ms = 200, latch-after = 5 }
        packet-alert-max = "6"
        action-order = ["drop", "pass", "reject", "alert"]
        default-log-dir = "/var/log/gate"
        [[inline-set]]
        name = "dmz"
        pairs = [["eth1", "eth2"], ["eth3", "eth4"]]
        [capture]
        workers = 2
        cpus = [2, 3]
        [capture.af-xdp]
        xdp-mode = "native"
        bind-mode = "copy"
        require = "native"
        ring-size = 1024
        huge-pages = "no"
        [flow]
        memcap = "64 MiB"
        prealloc = 5
        [flow-timeouts.udp]
        new = 7
        emergency-new = 3
        [stream]
        midstream = "yes"
        checksum-validation = "no"
        [vlan]
        use-for-tracking = false
        [decoder]
        invalid-policy = "drop"
        recursion-level.use-for-tracking = false
        [detect]
        budget-policy = "drop-packet"
        [vars.address-groups]
        HOME_NET = ["10.0.0.0/8", "!10.1.0.0/16"]
        LAB = "192.0.2.0/24"
        [vars.port-groups]
        SSH_PORTS = 2222
        WEB = [80, 8080]
        [rules]
        files = ["*.rules", "/etc/rules/x.rules"]
        classification-file = "classes.config"
        [outputs.eve-log]
        filename = "/dev/null"
        types = ["drop", "stats", "drop"]
        compress-ipv6 = "on"
        [outputs.eve-log.alert]
        metadata = { flow = "no", rule = { raw = true } }
        [outputs.eve-log.drop]
        flows = "all"
        [stats]
        enabled = false
        [control]
        enabled = "no"
        [plugins]
        files = []
        "#,
        &[],
        Inline::ByCopyMode,
    );
    assert_eq!(config.copy_mode, CopyMode::Ids);
    assert_eq!(config.fail, FailPolicy::LinkDown);
    assert_eq!(config.packet_alert_max, 6);
    assert_eq!(config.action_order[0], Action::Drop);
    let pair = |one: &str, other: &str| [one.to_owned(), other.to_owned()];
    let pairs = vec![pair("eth1", "eth2"), pair("eth3", "eth4")];
    assert_eq!(
        config.inline_sets,
        [InlineSet { name: "dmz".to_owned(), pairs, fail: None, overload: None, would_drop: false }]
    );
    assert_eq!(config.capture.workers, Workers::Exactly(2.try_into().unwrap()));
    assert_eq!(config.capture.cpus, [2, 3]);
    assert_eq!(config.capture.af_xdp.xdp_mode, XdpMode::Native);
    assert!(!config.capture.af_xdp.huge_pages);
    assert_eq!(config.flow.memcap, 64 << 20);
    assert_eq!(config.flow_timeouts.udp.normal.new, Duration::from_secs(7));
    assert!(config.stream.midstream && !config.stream.checksum_validation);
    assert_eq!(config.tracking, Tracking { vlan: false, livedev: true, recursion_level: false });
    assert_eq!(config.decoder.invalid_policy, InvalidPolicy::Drop);
    assert_eq!(config.budget_policy, BudgetPolicy::DropPacket);
    assert_eq!(config.vars.address_groups["HOME_NET"], "[10.0.0.0/8,!10.1.0.0/16]");
    assert_eq!(config.vars.address_groups["LAB"], "192.0.2.0/24");
    assert_eq!(config.vars.address_groups["HTTP_SERVERS"], "$HOME_NET");
    assert_eq!(config.vars.port_groups["SSH_PORTS"], "2222");
    assert_eq!(config.vars.port_groups["WEB"], "[80,8080]");
    assert_eq!(config.rules.files, [Path::new("gate/*.rules"), Path::new("/etc/rules/x.rules")]);
    assert_eq!(config.rules.classification_file.as_deref(), Some(Path::new("gate/classes.config")));
    assert_eq!(config.eve.types, [RecordType::Drop, RecordType::Stats]);
    assert!(config.eve.compress_ipv6);
    let details = AlertMetadata { flow: false, rule_metadata: true, rule_raw: true, rule_reference: false };
    assert_eq!(config.eve.alert.metadata, details);
    assert_eq!(config.eve.drop.flows, DropFlows::All);
    assert_eq!((config.stats_interval, config.control_socket), (None, None));
}

/// One override and what it makes of the configuration, by a question.
fn set(overrides: &[&str]) -> Config {
    good("[flow]\nmemcap = \"1mb\"\nprealloc = 1\n", overrides, Inline::ByCopyMode)
}

#[test]
fn overrides_replace_single_settings() {
    let config = set(&["flow.memcap=2mb"]);
    assert_eq!((config.flow.memcap, config.flow.prealloc), (2 << 20, 1));
    assert_eq!(set(&["flow.memcap = 4 MiB"]).flow.memcap, 4 << 20);
    assert_eq!(set(&["flow.memcap=131072"]).flow.memcap, 131_072);
    assert_eq!(set(&["flow.memcap=2mb", "flow.memcap=3mb"]).flow.memcap, 3 << 20);
    assert_eq!(set(&["packet-alert-max=6"]).packet_alert_max, 6);
    assert!(set(&["stream.midstream=true"]).stream.midstream);
    assert!(set(&["stream.midstream=yes"]).stream.midstream);
    assert!(!set(&["decoder.recursion-level.use-for-tracking=false"]).tracking.recursion_level);
    let order = set(&[r#"action-order=["alert", "pass", "drop", "reject"]"#]).action_order;
    assert_eq!(order.map(Action::word), ["alert", "pass", "drop", "reject"]);
    let home = |value: &str| set(&[&format!("vars.address-groups.HOME_NET={value}")]).vars.address_groups;
    assert_eq!(home("any")["HOME_NET"], "any");
    assert_eq!(home("[10.0.0.0/8,::1]")["HOME_NET"], "[10.0.0.0/8,::1]");
    assert_eq!(home("1.2")["HOME_NET"], "1.2");
    assert_eq!(set(&["vars.port-groups.WEB=[80,81]"]).vars.port_groups["WEB"], "[80,81]");
    let drop = set(&["outputs.eve-log.drop.flows=all", "outputs.eve-log.drop.alerts=true"]).eve.drop;
    assert_eq!(drop, DropConfig { alerts: true, flows: DropFlows::All, verdict: false });
    let quiet = set(&["outputs.eve-log.alert.metadata=no"]).eve.alert.metadata;
    assert!(!quiet.flow && !quiet.rule_metadata);
    assert_eq!(set(&["host.memcap=1mb"]).host.memcap, 1 << 20);
    // Paths given on the command line are taken from where the user is.
    assert_eq!(
        set(&["threshold-file=t.config"]).rules.threshold_file.as_deref(),
        Some(Path::new("t.config"))
    );
    assert_eq!(set(&["rules.files=a.rules"]).rules.files, [Path::new("a.rules")]);
}

#[test]
fn settings_by_host() {
    let network = |octets, prefix| Network::new(4, portcullis_wire::decoded::mapped(octets), prefix).unwrap();
    let text = "\
[defrag.host-config.dmz]
timeout = 30
address = [\"192.168.1.0/24\", \"1.1.1.1\"]
[defrag.host-config.lan]
timeout = 45
address = \"::1\"
[host-os-policy]
linux = [\"10.0.0.0/8\"]
bsd = []
";
    let config = good(text, &[], Inline::Yes);
    let v6 = Network::new(6, std::net::Ipv6Addr::LOCALHOST.octets(), 128).unwrap();
    let timeouts = [
        (network([192, 168, 1, 0], 24), Duration::from_secs(30)),
        (network([1, 1, 1, 1], 32), Duration::from_secs(30)),
        (v6, Duration::from_secs(45)),
    ];
    assert_eq!(config.defrag.timeouts, timeouts);
    assert_eq!(config.host_os.0, [(network([10, 0, 0, 0], 8), TargetOs::Linux)]);
    let check = |overrides: &[&str], expected: &str| {
        let text = shown("", overrides);
        assert!(text.contains(expected), "{overrides:?}: {text}");
    };
    check(&["host-os-policy.linux=[\"10.0.0.0/40\"]"], "\"10.0.0.0/40\" is no address or network");
    check(&["host-os-policy.linux=10.0.0.1", "host-os-policy.bsd=10.0.0.1"], "is also one of `bsd`");
    check(&["host-os-policy.linus=[]"], "did you mean `host-os-policy.linux`?");
    check(&["defrag.host-config.dmz=1"], "bad value for `defrag.host-config.dmz`: expected a table");
    check(&["defrag.host-config.dmz.timeout=x"], "`defrag.host-config.dmz.timeout`");
    check(&["defrag.host-config.dmz.tiemout=1"], "did you mean `defrag.host-config.dmz.timeout`?");
    check(&["defrag.memcap=100kb"], "102400 bytes are too few");
    check(&["defrag.trackers=0"], "0 is not within 1 to");
    check(&["defrag.max-frag=1"], "did you mean `defrag.max-frags`?");
}

#[test]
fn settings_without_meaning_are_accepted_with_one_warning_each() {
    let check = |setting: &str, name: &str| {
        let text = shown("", &[setting]);
        let first = text.lines().next().unwrap_or_default();
        assert!(first.starts_with(&format!("warning: `{name}` has no effect here: ")), "{setting}: {text}");
        assert_eq!(text.matches("warning:").count(), 1, "{setting}");
        parse(sources("", &[setting]), Inline::No).unwrap();
    };
    check("flow.hash-size=1", "flow.hash-size");
    check("app-layer.protocols.tls.encryption-handling=full", "app-layer.protocols");
    check("defrag.hash-size=1", "defrag.hash-size");
    check("ippair.hash-size=1", "ippair");
    check("host.hash-size=4096", "host.hash-size");
    check("detect.prefilter.default=auto", "detect.prefilter");
    check("stream.max-sessions=1", "stream.max-sessions");
    check("stream.reassembly.raw=yes", "stream.reassembly.raw");
    check("decoder.vntag.enabled=true", "decoder.vntag");
    check("stats.decoder-events=true", "stats.decoder-events");
    check("outputs.eve-log.alert.tagged-packets=true", "outputs.eve-log.alert.tagged-packets");
    check("outputs.eve-log.alert.payload-buffer-size=4kb", "outputs.eve-log.alert.payload-buffer-size");
}

#[test]
fn streams_are_inspected_inline_where_packets_can_be_dropped() {
    let check = |overrides: &[&str], inline: Inline, expected: bool| {
        let config = parse(sources("", overrides), inline).unwrap().config;
        assert_eq!(config.stream.inline, expected, "{overrides:?} {inline:?}");
    };
    check(&[], Inline::Yes, true);
    check(&[], Inline::No, false);
    check(&["stream.inline=auto"], Inline::Yes, true);
    check(&["stream.inline=no"], Inline::Yes, false);
    check(&["stream.inline=true"], Inline::No, true);
    let text = shown("", &["stream.inline=maybe"]);
    assert!(text.starts_with("error: bad value for `stream.inline`: expected yes, no or \"auto\""), "{text}");
    let text = shown("", &["stream.reassembly.toserver-chunk-size=1mb"]);
    assert!(text.contains("1048576 is not within 1 to 65536"), "{text}");
}

#[test]
fn settings_that_are_not_carried_out_are_announced() {
    let check = |setting: &str, expected: &str| {
        let text = shown("", &[setting]);
        assert!(text.starts_with(&format!("warning: {expected}")), "{setting}: {text}");
    };
    check("app-layer.error-policy=ignore", "`app-layer.error-policy` is never met: application protocols");
    check("outputs.eve-log.alert.metadata.rule.raw=yes", "`raw` is not carried out");
}

#[test]
fn elephants_are_made_by_bytes_and_interval_together() {
    let config = good("[flow.rate-tracking]\nbytes = \"1mb\"\ninterval = 10\n", &[], Inline::Yes);
    let expected = portcullis_flow::RateTracking { bytes: 1 << 20, interval: Duration::from_secs(10) };
    assert_eq!(config.flow.rate_tracking, Some(expected));
    assert_eq!(good("", &[], Inline::Yes).flow.rate_tracking, None);
    let check = |overrides: &[&str], expected: &str| {
        let error = parse(sources("", overrides), Inline::Yes).unwrap_err().to_string();
        assert!(error.contains(expected), "{overrides:?}: {error}");
    };
    check(
        &["flow.rate-tracking.bytes=1mb"],
        "`flow.rate-tracking.bytes` needs `flow.rate-tracking.interval`",
    );
    check(
        &["flow.rate-tracking.interval=5"],
        "`flow.rate-tracking.interval` needs `flow.rate-tracking.bytes`",
    );
    check(&["flow.rate-tracking={bytes=1,interval=0}"], "it must be at least 1");
}
