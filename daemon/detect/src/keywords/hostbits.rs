//! `hostbits`: what rules remember about an address. The same bits as those of `xbits` with `track ip_src`
//! and `track ip_dst`.

use portcullis_host::BitName;

use super::{Entry, Setting, Takes};
use crate::draft::Draft;
use crate::error::Fault;
use crate::host::{HostChange, HostTest, Owner};
use crate::syntax::Value;

pub(super) const KEYWORD: Entry = Entry { names: &["hostbits"], takes: Takes::Value, setup };

/// How long a bit stays set, in seconds, as in Suricata.
const EXPIRE: u32 = 300;

/// `set|unset|toggle,NAME[,src|dst|both]`, `isset|isnotset,NAME[|NAME…][,src|dst|both]`, `noalert`; `src`
/// unless given.
fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let mut parts = setting.value.list();
    let verb = parts.next().unwrap_or(setting.value);
    if verb.bytes == b"noalert" {
        return noalert(draft, parts.next());
    }
    let Some(name) = parts.next() else {
        return Err(Fault::new(verb.at, "expected an action and a name"));
    };
    let owner = match parts.next() {
        None => Owner::Source,
        Some(part) => match part.text()? {
            "src" => Owner::Source,
            "dst" => Owner::Destination,
            "both" => Owner::Each,
            other => return Err(Fault::new(part.at, format!("expected src, dst or both, found `{other}`"))),
        },
    };
    if let Some(more) = parts.next() {
        return Err(Fault::new(more.at, "expected nothing after the direction"));
    }
    add(draft, verb, name, owner, EXPIRE)
}

/// `noalert`, which is the whole value.
pub(super) fn noalert(draft: &mut Draft, more: Option<Value<'_>>) -> Result<(), Fault> {
    if let Some(more) = more {
        return Err(Fault::new(more.at, "`noalert` takes no name"));
    }
    draft.texts.noalert = true;
    Ok(())
}

/// Adds what `verb` says about the bit called `name`.
pub(super) fn add(
    draft: &mut Draft,
    verb: Value<'_>,
    name: Value<'_>,
    owner: Owner,
    expire: u32,
) -> Result<(), Fault> {
    let change = match verb.text()? {
        "set" => HostChange::Set(expire),
        "unset" => HostChange::Unset,
        "toggle" => HostChange::Toggle(expire),
        asked @ ("isset" | "isnotset") => {
            let names = name.bytes.split(|byte| *byte == b'|').map(|part| bit(draft, name, part));
            let names = names.collect::<Result<Box<[_]>, _>>()?;
            draft.host.tests.push(HostTest { owner, names, set: asked == "isset" });
            return Ok(());
        }
        other => {
            let reason = format!("expected set, unset, toggle, isset, isnotset or noalert, found `{other}`");
            return Err(Fault::new(verb.at, reason));
        }
    };
    if name.bytes.contains(&b'|') {
        return Err(Fault::new(name.at, "only `isset` and `isnotset` take several names"));
    }
    let bit = bit(draft, name, name.bytes)?;
    draft.host.changes.push((change, owner, bit));
    Ok(())
}

/// The bit called `part` within `name`; the name is kept so that no other is taken for it.
fn bit(draft: &mut Draft, name: Value<'_>, part: &[u8]) -> Result<BitName, Fault> {
    let part = part.trim_ascii();
    if part.is_empty() || part.iter().any(u8::is_ascii_whitespace) {
        return Err(Fault::new(name.at, "a bit's name is one word"));
    }
    let bit = BitName::named(part);
    draft.host_names.push((name.at, bit, part.to_vec()));
    Ok(bit)
}
