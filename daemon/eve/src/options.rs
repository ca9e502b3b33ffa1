//! What is logged of each kind of record. Names and defaults are those of `outputs.eve-log` in
//! the shipped `suricata.yaml`; the composition root reads them from its own configuration.

/// Options of the EVE output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EveOptions {
    /// Which kinds of records are logged: `types`.
    pub types: EventTypes,
    /// Names of the ports, by [`PortId`](portcullis_capture::PortId): EVE's `in_iface`. A port
    /// without a name is left out.
    pub interfaces: Vec<String>,
    /// Log flow bits: `metadata`.
    pub metadata: bool,
    /// Log Ethernet addresses: `ethernet`.
    pub ethernet: bool,
    /// Log the community id, with this seed: `community-id` and `community-id-seed`.
    pub community_id: Option<u16>,
    /// Write IPv6 addresses in their short form: `compress-ipv6`.
    pub compress_ipv6: bool,
    /// `types.alert`.
    pub alert: AlertOptions,
    /// `types.drop`.
    pub drop: DropOptions,
    /// Log which exception policies were applied to a flow: `types.flow.exception-policy`.
    pub flow_exception_policy: bool,
}

impl Default for EveOptions {
    fn default() -> Self {
        Self {
            types: EventTypes::default(),
            interfaces: Vec::new(),
            metadata: true,
            ethernet: false,
            community_id: None,
            compress_ipv6: false,
            alert: AlertOptions::default(),
            drop: DropOptions::default(),
            flow_exception_policy: false,
        }
    }
}

/// Which kinds of records are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventTypes {
    /// `alert`
    pub alert: bool,
    /// `drop`
    pub drop: bool,
    /// `flow`
    pub flow: bool,
    /// `netflow`
    pub netflow: bool,
    /// `stats`
    pub stats: bool,
}

impl EventTypes {
    /// None of them.
    pub const NONE: Self = Self { alert: false, drop: false, flow: false, netflow: false, stats: false };

    /// Turns on the type that EVE calls `name`; `false` for a name that is none of ours.
    pub fn enable(&mut self, name: &str) -> bool {
        let enabled = match name {
            "alert" => &mut self.alert,
            "drop" => &mut self.drop,
            "flow" => &mut self.flow,
            "netflow" => &mut self.netflow,
            "stats" => &mut self.stats,
            _ => return false,
        };
        *enabled = true;
        true
    }
}

impl Default for EventTypes {
    /// Those of the shipped configuration, and `drop`, for we are inline.
    fn default() -> Self {
        Self { alert: true, drop: true, flow: true, netflow: false, stats: true }
    }
}

/// Options of `types.alert`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertOptions {
    /// The inspected bytes in Base64: `payload`.
    pub payload: bool,
    /// The inspected bytes as text, with dots for what cannot be printed: `payload-printable`.
    pub payload_printable: bool,
    /// Their number: `payload-length`.
    pub payload_length: bool,
    /// The whole frame in Base64: `packet`.
    pub packet: bool,
    /// The flow so far: `metadata.flow`.
    pub flow: bool,
    /// The rule's metadata: `metadata.rule.metadata`.
    pub rule_metadata: bool,
    /// The rule as written: `metadata.rule.raw`.
    pub rule_raw: bool,
    /// The rule's references: `metadata.rule.reference`.
    pub rule_reference: bool,
    /// What became of the packet: `verdict`.
    pub verdict: bool,
}

impl AlertOptions {
    /// What `metadata: yes` or `metadata: no` means: flow and rule metadata together.
    pub fn set_metadata(&mut self, wanted: bool) {
        self.flow = wanted;
        self.rule_metadata = wanted;
    }
}

impl Default for AlertOptions {
    fn default() -> Self {
        Self {
            payload: false,
            payload_printable: false,
            payload_length: false,
            packet: false,
            flow: true,
            rule_metadata: true,
            rule_raw: false,
            rule_reference: false,
            verdict: false,
        }
    }
}

/// Options of `types.drop`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DropOptions {
    /// Log the rule that dropped the packet: `alerts`.
    pub alerts: bool,
    /// Which packets of a dropped flow are logged: `flows`.
    pub flows: DropFlows,
    /// What became of the packet: `verdict`.
    pub verdict: bool,
}

impl Default for DropOptions {
    fn default() -> Self {
        Self { alerts: true, flows: DropFlows::Start, verdict: false }
    }
}

/// Which packets of a dropped flow are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropFlows {
    /// The first one in each direction, and every one that a rule drops: `start`.
    Start,
    /// All of them: `all`.
    All,
}
