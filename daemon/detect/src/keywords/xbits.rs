//! `xbits`: what rules remember about an address or a pair of addresses.

use super::{Entry, Setting, Takes, hostbits};
use crate::draft::Draft;
use crate::error::Fault;
use crate::host::Owner;
use crate::syntax::Value;

pub(super) const KEYWORD: Entry = Entry { names: &["xbits"], takes: Takes::Value, setup };

/// How long a bit stays set unless the rule says, in seconds, as in Suricata.
const EXPIRE: u32 = 30;

/// `set|unset|toggle|isset|isnotset,NAME,track ip_src|ip_dst|ip_pair[,expire SECONDS]`, `noalert`
fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let mut parts = setting.value.list();
    let verb = parts.next().unwrap_or(setting.value);
    if verb.bytes == b"noalert" {
        return hostbits::noalert(draft, parts.next());
    }
    let Some(name) = parts.next() else {
        return Err(Fault::new(verb.at, "expected an action, a name and `track`"));
    };
    let (mut owner, mut expire) = (None, None);
    for part in parts {
        let (word, value) = words(part)?;
        match word {
            "track" if owner.is_none() => owner = Some(track(value)?),
            "expire" if expire.is_none() => expire = Some(value.number(1, u32::MAX)?),
            "track" | "expire" => return Err(Fault::new(part.at, format!("`{word}` is given twice"))),
            other => return Err(Fault::new(part.at, format!("expected track or expire, found `{other}`"))),
        }
    }
    let Some(owner) = owner else {
        return Err(Fault::new(name.at, "`track` is missing: ip_src, ip_dst or ip_pair"));
    };
    hostbits::add(draft, verb, name, owner, expire.unwrap_or(EXPIRE))
}

fn track(value: Value<'_>) -> Result<Owner, Fault> {
    match value.text()? {
        "ip_src" => Ok(Owner::Source),
        "ip_dst" => Ok(Owner::Destination),
        "ip_pair" => Ok(Owner::Pair),
        "tx" => Err(Fault::new(value.at, "`track tx` needs application-layer transactions: not supported")),
        other => Err(Fault::new(value.at, format!("expected ip_src, ip_dst or ip_pair, found `{other}`"))),
    }
}

/// A word and what follows it.
fn words(part: Value<'_>) -> Result<(&str, Value<'_>), Fault> {
    let text = part.text()?;
    let word = text.split_ascii_whitespace().next().unwrap_or("");
    let rest = part.bytes.get(word.len()..).unwrap_or_default();
    let blanks = rest.len() - rest.trim_ascii_start().len();
    Ok((word, Value { at: part.at + word.len() + blanks, bytes: rest.trim_ascii() }))
}
