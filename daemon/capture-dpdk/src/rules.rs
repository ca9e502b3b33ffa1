//! What ports can do by themselves about flows that are decided.

use crate::error::DpdkError;
use crate::sys::{FlowAbilities, FlowMatch, FlowRule, Port};
use portcullis_capture::PortId;
use std::sync::{Arc, Weak};

/// TCP over IPv4, between addresses for documentation (RFC 5737): what a port is asked about.
const SAMPLE: FlowMatch = FlowMatch {
    source: [192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    destination: [198, 51, 100, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    source_port: 1024,
    destination_port: 80,
    vlans: [0; 2],
    vlan_count: 0,
    version: 4,
    protocol: 6,
    reserved: 0,
};

/// What is best first: to know what was dropped is worth more than to see how sessions end.
const ABILITIES: [FlowAbilities; 4] = [
    FlowAbilities { counts: true, keeps_ends: true },
    FlowAbilities { counts: true, keeps_ends: false },
    FlowAbilities { counts: false, keeps_ends: true },
    FlowAbilities { counts: false, keeps_ends: false },
];

/// Ports that drop the packets of flows by themselves. It does not keep them open.
#[derive(Clone, Debug)]
pub struct FlowDrops {
    ports: Vec<Weak<Port>>,
    abilities: FlowAbilities,
}

impl FlowDrops {
    /// Of ports that can all do so, alike.
    ///
    /// # Errors
    /// One cannot: its driver's reason.
    pub(crate) fn find<'a>(ports: impl Iterator<Item = &'a Arc<Port>> + Clone) -> Result<Self, DpdkError> {
        let mut refused = None;
        for abilities in ABILITIES {
            // Some drivers find good what they then cannot do.
            let mut tried = ports.clone().map(|port| {
                port.would_drop(&SAMPLE, abilities)?;
                port.drop_flow(&SAMPLE, abilities).map(drop)
            });
            match tried.try_for_each(|tried| tried) {
                Ok(()) => return Ok(Self { ports: ports.map(Arc::downgrade).collect(), abilities }),
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or_else(|| DpdkError::Invalid("there is no port".to_owned())))
    }

    /// What rules can do beside dropping.
    #[must_use]
    pub const fn abilities(&self) -> FlowAbilities {
        self.abilities
    }

    /// Has a port drop packets like these until the rule is let go of.
    ///
    /// # Errors
    /// The driver's, or the port is closed.
    pub fn drop_flow(&self, port: PortId, flow: &FlowMatch) -> Result<FlowRule, DpdkError> {
        let port = self.ports.get(usize::from(port.0)).and_then(Weak::upgrade);
        let port = port.ok_or_else(|| DpdkError::Invalid("the port is closed".to_owned()))?;
        port.drop_flow(flow, self.abilities)
    }
}
