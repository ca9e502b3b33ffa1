//! Settings of suricata.yaml that mean nothing here, so that an operator's habits and converted
//! files work: each is accepted with one warning that says why. Those that have a counterpart of
//! another name are errors that name it: to ignore them would change what happens to traffic.

/// What a setting of suricata.yaml means here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Nothing, for this reason.
    None(&'static str),
    /// It is this setting here.
    Elsewhere(&'static str),
}

use Meaning::{Elsewhere, None as Nothing};

const NO_HASH: &str = "each worker's index is sized from flow.memcap";
const NO_MANAGER: &str = "workers expire their own flows, there are no manager threads";
const NO_DEFRAG_HASH: &str = "each worker's index is sized from defrag.trackers";
const NO_HOSTS: &str = "lists of hosts and data sets are not kept";
const ONE_TABLE: &str = "all state about hosts and pairs is in one table, sized by host.memcap";
pub(crate) const NO_APP_LAYER: &str = "application protocols are not parsed";
const NO_RECORD: &str = "records of this kind are not written";
const NO_OUTPUT: &str = "eve-log is the only output";
const NO_DETAIL: &str = "this detail is not logged";
const NO_MODULE: &str = "packets come from AF_XDP sockets or capture files";
const NO_TUNING: &str = "detection tunes itself";
const NO_THREADS: &str = "threads are placed by capture.workers and capture.cpus";
const NO_PROCESS: &str = "the service manager sees to this";
const NO_ENVIRONMENT: &str = "this part of Suricata has no counterpart";
const ICMP_UDP_CLOSED: &str = "only TCP flows are ever closed";

/// Names with all that is below them.
const TABLE: &[(&str, Meaning)] = &[
    ("flow.hash-size", Nothing(NO_HASH)),
    ("flow.managers", Nothing(NO_MANAGER)),
    ("flow.recyclers", Nothing(NO_MANAGER)),
    ("flow.end-flags", Nothing(NO_DETAIL)),
    ("flow-timeouts.udp.closed", Nothing(ICMP_UDP_CLOSED)),
    ("flow-timeouts.udp.emergency-closed", Nothing(ICMP_UDP_CLOSED)),
    ("flow-timeouts.icmp.closed", Nothing(ICMP_UDP_CLOSED)),
    ("flow-timeouts.icmp.emergency-closed", Nothing(ICMP_UDP_CLOSED)),
    ("stream.max-sessions", Nothing("stream.memcap bounds sessions")),
    ("stream.tcp-reuse", Nothing("a new SYN always begins a new session")),
    ("stream.reassembly.raw", Nothing("rules always look at streams")),
    ("stream.reassembly.zero-copy-size", Nothing("payload that is not needed is not copied")),
    ("stream.reassembly.chunk-prealloc", Nothing("windows have memory of their own")),
    ("defrag.hash-size", Nothing(NO_DEFRAG_HASH)),
    ("host.hash-size", Nothing(ONE_TABLE)),
    ("host.prealloc", Nothing("all of host.memcap is taken at start")),
    ("ippair", Nothing(ONE_TABLE)),
    ("app-layer", Nothing(NO_APP_LAYER)),
    ("decoder.vntag", Nothing("such tags are always looked behind")),
    ("detect.profile", Nothing(NO_TUNING)),
    ("detect.custom-values", Nothing(NO_TUNING)),
    ("detect.sgh-mpm-context", Nothing(NO_TUNING)),
    ("detect.sgh-mpm-caching", Nothing(NO_TUNING)),
    ("detect.sgh-mpm-caching-path", Nothing(NO_TUNING)),
    ("detect.inspection-recursion-limit", Nothing("work on a packet is bounded as a whole")),
    ("detect.stream-tx-log-limit", Nothing(NO_APP_LAYER)),
    ("detect.guess-applayer-tx", Nothing(NO_APP_LAYER)),
    ("detect.delayed-detect", Nothing("rules are loaded before the first packet")),
    ("detect.prefilter", Nothing(NO_TUNING)),
    ("detect.grouping", Nothing(NO_TUNING)),
    ("detect.thresholds", Nothing(ONE_TABLE)),
    ("detect.profiling", Nothing(NO_DETAIL)),
    ("mpm-algo", Nothing(NO_TUNING)),
    ("spm-algo", Nothing(NO_TUNING)),
    ("threshold", Nothing(ONE_TABLE)),
    ("asn1-max-frames", Nothing(NO_APP_LAYER)),
    ("pcre", Nothing("work on a packet is bounded as a whole")),
    ("max-pending-packets", Nothing("bursts and rings have fixed sizes")),
    ("default-packet-size", Nothing("frames stay where the device put them")),
    ("runmode", Nothing("every worker does everything for its packets")),
    ("autofp-scheduler", Nothing("every worker does everything for its packets")),
    ("threading", Nothing(NO_THREADS)),
    ("luajit", Nothing(NO_ENVIRONMENT)),
    ("security.lua", Nothing(NO_ENVIRONMENT)),
    ("multi-detect", Nothing(NO_ENVIRONMENT)),
    ("firewall", Nothing(NO_ENVIRONMENT)),
    ("datasets", Nothing(NO_HOSTS)),
    ("reputation-categories-file", Nothing(NO_HOSTS)),
    ("default-reputation-path", Nothing(NO_HOSTS)),
    ("reputation-files", Nothing(NO_HOSTS)),
    ("reference-config-file", Nothing("references are logged as the rule writes them")),
    ("geoip-database", Nothing(NO_HOSTS)),
    ("engine-analysis", Nothing(NO_ENVIRONMENT)),
    ("profiling", Nothing(NO_ENVIRONMENT)),
    ("coredump", Nothing(NO_PROCESS)),
    ("pid-file", Nothing(NO_PROCESS)),
    ("daemon-directory", Nothing(NO_PROCESS)),
    ("umask", Nothing(NO_PROCESS)),
    ("sensor-name", Nothing(NO_DETAIL)),
    ("logging", Nothing("messages go to standard error")),
    ("suricata-version", Nothing(NO_ENVIRONMENT)),
    ("host-mode", Nothing("it follows from copy-mode")),
    ("legacy", Nothing(NO_ENVIRONMENT)),
    ("heartbeat", Nothing(NO_ENVIRONMENT)),
    ("pcap", Nothing(NO_MODULE)),
    ("pcap-file", Nothing("`replay -k` says which checksums to verify")),
    ("nfq", Nothing(NO_MODULE)),
    ("nflog", Nothing(NO_MODULE)),
    ("ipfw", Nothing(NO_MODULE)),
    ("napatech", Nothing(NO_MODULE)),
    ("windivert", Nothing(NO_MODULE)),
    ("stats.decoder-events", Nothing(NO_DETAIL)),
    ("stats.decoder-events-prefix", Nothing(NO_DETAIL)),
    ("stats.stream-events", Nothing("they are always counted")),
    ("outputs.fast", Nothing(NO_OUTPUT)),
    ("outputs.stats", Nothing(NO_OUTPUT)),
    ("outputs.http-log", Nothing(NO_OUTPUT)),
    ("outputs.tls-log", Nothing(NO_OUTPUT)),
    ("outputs.tls-store", Nothing(NO_OUTPUT)),
    ("outputs.pcap-log", Nothing(NO_OUTPUT)),
    ("outputs.alert-debug", Nothing(NO_OUTPUT)),
    ("outputs.syslog", Nothing(NO_OUTPUT)),
    ("outputs.file-store", Nothing(NO_OUTPUT)),
    ("outputs.tcp-data", Nothing(NO_OUTPUT)),
    ("outputs.http-body-data", Nothing(NO_OUTPUT)),
    ("outputs.lua", Nothing(NO_OUTPUT)),
    ("outputs.eve-log.append", Nothing("the file is always appended to")),
    ("outputs.eve-log.threaded", Nothing("one thread writes all records")),
    ("outputs.eve-log.buffer-size", Nothing("the writer sizes its buffer")),
    ("outputs.eve-log.prefix", Nothing(NO_DETAIL)),
    ("outputs.eve-log.identity", Nothing(NO_OUTPUT)),
    ("outputs.eve-log.facility", Nothing(NO_OUTPUT)),
    ("outputs.eve-log.level", Nothing(NO_OUTPUT)),
    ("outputs.eve-log.redis", Nothing("records go to a file")),
    ("outputs.eve-log.pcap-file", Nothing(NO_DETAIL)),
    ("outputs.eve-log.suricata-version", Nothing(NO_DETAIL)),
    ("outputs.eve-log.xff", Nothing(NO_APP_LAYER)),
    ("outputs.eve-log.alert.http-body", Nothing(NO_APP_LAYER)),
    ("outputs.eve-log.alert.http-body-printable", Nothing(NO_APP_LAYER)),
    ("outputs.eve-log.alert.websocket-payload", Nothing(NO_APP_LAYER)),
    ("outputs.eve-log.alert.websocket-payload-printable", Nothing(NO_APP_LAYER)),
    ("outputs.eve-log.alert.tagged-packets", Nothing("the tag keyword is not known")),
    ("outputs.eve-log.alert.reference", Nothing(NO_DETAIL)),
    ("outputs.eve-log.alert.xff", Nothing(NO_APP_LAYER)),
    ("outputs.eve-log.stats.totals", Nothing(NO_DETAIL)),
    ("outputs.eve-log.stats.threads", Nothing(NO_DETAIL)),
    ("outputs.eve-log.stats.deltas", Nothing(NO_DETAIL)),
    ("outputs.eve-log.stats.null-values", Nothing(NO_DETAIL)),
    ("outputs.eve-log.netflow", Nothing(NO_DETAIL)),
    ("outputs.eve-log.alert.payload-buffer-size", Nothing("a record holds as much as fits in 64 KiB")),
    ("outputs.eve-log.anomaly", Nothing(NO_RECORD)),
    ("rule-files", Elsewhere("rules.files")),
    ("default-rule-path", Elsewhere("rules.files")),
    ("classification-file", Elsewhere("rules.classification-file")),
    ("unix-command", Elsewhere("control.socket")),
    ("unix-command.filename", Elsewhere("control.socket")),
    ("af-packet", Elsewhere("[[inline-set]] and [capture]")),
    ("af-xdp", Elsewhere("[[inline-set]] and [capture.af-xdp]")),
    ("dpdk", Elsewhere("[[inline-set]], [capture] and [capture.dpdk]")),
    ("netmap", Elsewhere("[[inline-set]] and [capture]")),
];

/// What suricata.yaml's setting `name` (dotted) means here; `None` where there is no such setting.
pub(crate) fn look_up(name: &str) -> Option<Meaning> {
    let covers =
        |entry: &str| name.strip_prefix(entry).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    TABLE.iter().find(|(entry, _)| covers(entry)).map(|(_, meaning)| *meaning)
}

/// The last parts of the names right under the table `path`, for suggestions.
pub(crate) fn names_under(path: &str) -> impl Iterator<Item = &'static str> {
    TABLE.iter().filter_map(move |(entry, _)| {
        let (parent, last) = entry.rsplit_once('.').unwrap_or(("", entry));
        (parent == path).then_some(last)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_covers_what_is_below_it_and_nothing_beside_it() {
        let covered = |name: &str| matches!(look_up(name), Some(Nothing(_)));
        assert!(covered("flow.managers"));
        assert!(covered("app-layer.protocols.tls.enabled"));
        assert!(covered("host.hash-size"));
        assert!(!covered("hostile"));
        assert!(!covered("flow"));
        assert_eq!(look_up("rule-files"), Some(Elsewhere("rules.files")));
    }

    #[test]
    fn no_entry_twice() {
        let mut names: Vec<_> = TABLE.iter().map(|(name, _)| name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
