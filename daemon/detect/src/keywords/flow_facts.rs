//! What is known about a flow so far, the packet at hand included: for `flow.age`, `flow.pkts`, `flow.bytes` and their
//! forms by direction.

use super::Setting;
use super::number::Condition;
use crate::draft::{Draft, PacketTest};
use crate::error::Fault;
use crate::input::{FlowFacts, Input};
use crate::syntax::Value;

/// Which direction is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    ToServer,
    ToClient,
    Either,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    /// Seconds since the first packet.
    Age,
    Packets(Side),
    Bytes(Side),
}

#[derive(Debug)]
struct Test {
    fact: Fact,
    condition: Condition,
}

impl PacketTest for Test {
    fn matches(&self, input: &Input<'_>) -> bool {
        let Some(flow) = input.flow else { return false };
        // More than a rule can name is as good as the most that it can.
        let holds = |number: u64| self.condition.holds(u32::try_from(number).unwrap_or(u32::MAX));
        let of = |side, [to_server, to_client]: [u64; 2]| match side {
            Side::ToServer => holds(to_server),
            Side::ToClient => holds(to_client),
            Side::Either => holds(to_server) || holds(to_client),
        };
        let FlowFacts { age, packets, bytes, .. } = flow;
        match self.fact {
            Fact::Age => self.condition.holds(age),
            Fact::Packets(side) => of(side, packets),
            Fact::Bytes(side) => of(side, bytes),
        }
    }

    fn is_of_flow(&self) -> bool {
        true
    }
}

/// `toserver|toclient|either, CONDITION`
pub(super) fn sided(draft: &mut Draft, setting: Setting<'_>, fact: fn(Side) -> Fact) -> Result<(), Fault> {
    let mut parts = setting.value.list();
    let (Some(side), Some(condition), None) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Fault::new(setting.value.at, "expected toserver, toclient or either, and a condition"));
    };
    let side = match side.text()? {
        "toserver" => Side::ToServer,
        "toclient" => Side::ToClient,
        "either" => Side::Either,
        other => {
            let reason = format!("expected toserver, toclient or either, found `{other}`");
            return Err(Fault::new(side.at, reason));
        }
    };
    add(draft, condition, fact(side))
}

/// Asks for a fact.
pub(super) fn add(draft: &mut Draft, condition: Value<'_>, fact: Fact) -> Result<(), Fault> {
    draft.reads_age |= fact == Fact::Age;
    draft.tests.push(Box::new(Test { fact, condition: Condition::parse(condition, u32::MAX)? }));
    Ok(())
}
