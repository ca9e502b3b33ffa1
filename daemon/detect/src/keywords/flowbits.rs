//! `flowbits`: what rules remember about a flow.

use std::cell::Cell;

use portcullis_flow::{FlowBit, FlowBits};

use super::{Entry, Setting, Takes};
use crate::draft::{Draft, PacketTest};
use crate::error::Fault;
use crate::input::Input;
use crate::rule::{BitChange, FlowChange, FlowName};
use crate::syntax::Value;

pub(super) const KEYWORD: Entry = Entry { names: &["flowbits"], takes: Takes::Value, setup };

/// `set,NAME`, `unset,NAME`, `toggle,NAME`, `isset,NAME[|NAME…]`, `isnotset,NAME[|NAME…]`, `noalert`
fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let mut parts = setting.value.list();
    let verb = parts.next().unwrap_or(setting.value);
    let name = parts.next();
    if let Some(more) = parts.next() {
        return Err(Fault::new(more.at, "expected nothing after the name"));
    }
    let (verb, name) = match (verb.text()?, name) {
        ("noalert", None) => {
            draft.texts.noalert = true;
            return Ok(());
        }
        ("noalert", Some(name)) => return Err(Fault::new(name.at, "`noalert` takes no name")),
        (verb @ ("set" | "unset" | "toggle" | "isset" | "isnotset"), Some(name)) => (verb, name),
        (verb @ ("set" | "unset" | "toggle" | "isset" | "isnotset"), None) => {
            return Err(Fault::new(setting.value.at, format!("`{verb}` needs a name")));
        }
        (other, _) => {
            let reason = format!("expected set, unset, toggle, isset, isnotset or noalert, found `{other}`");
            return Err(Fault::new(setting.value.at, reason));
        }
    };
    let change = match verb {
        "set" => BitChange::Set,
        "unset" => BitChange::Unset,
        "toggle" => BitChange::Toggle,
        _ => {
            let bits = name.bytes.split(|&byte| byte == b'|');
            let bits = bits.map(|part| bit(draft, name, part)).collect::<Result<Box<[_]>, _>>()?;
            draft.tests.push(Box::new(BitTest { bits, set: verb == "isset" }));
            draft.reads_bits = true;
            return Ok(());
        }
    };
    if name.bytes.contains(&b'|') {
        return Err(Fault::new(name.at, "only `isset` and `isnotset` take several names"));
    }
    let bit = bit(draft, name, name.bytes)?;
    draft.flow_changes.push(FlowChange::Bit(change, bit));
    Ok(())
}

/// The bit called `part` within `name`; the name is kept so that no other is taken for it.
fn bit(draft: &mut Draft, name: Value<'_>, part: &[u8]) -> Result<FlowBit, Fault> {
    let part = part.trim_ascii();
    if part.is_empty() || part.iter().any(u8::is_ascii_whitespace) {
        return Err(Fault::new(name.at, "a bit's name is one word"));
    }
    let bit = FlowBit::named(part);
    draft.flow_names.push((name.at, FlowName::Bit(bit), part.to_vec()));
    Ok(bit)
}

/// Is one of the bits set, or one of them not?
#[derive(Debug)]
struct BitTest {
    bits: Box<[FlowBit]>,
    set: bool,
}

impl PacketTest for BitTest {
    fn matches(&self, input: &Input<'_>) -> bool {
        let Some(bits) = input.bits.map(Cell::get) else { return false };
        self.bits.iter().any(|&bit| bits.contains(bit) == self.set)
    }

    fn is_of_flow(&self) -> bool {
        true
    }
}

impl BitChange {
    /// Carries it out; `false` where there was no room.
    pub(crate) fn apply(self, bit: FlowBit, bits: &Cell<FlowBits>) -> bool {
        let mut changed = bits.get();
        let done = match self {
            Self::Toggle | Self::Set if !changed.contains(bit) => changed.insert(bit),
            Self::Set => true,
            Self::Unset | Self::Toggle => {
                changed.remove(bit);
                true
            }
        };
        bits.set(changed);
        done
    }
}
