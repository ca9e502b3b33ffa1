//! Keywords that describe a rule and match nothing: `msg sid rev gid classtype priority reference metadata
//! target noalert bypass`.

use super::{Entry, Setting, Takes, once};
use crate::draft::Draft;
use crate::error::Fault;
use crate::signature::{Metadata, Reference, Target};

pub(super) const KEYWORDS: &[Entry] = &[
    Entry { names: &["msg"], takes: Takes::Value, setup: msg },
    Entry { names: &["sid"], takes: Takes::Value, setup: sid },
    Entry { names: &["rev"], takes: Takes::Value, setup: rev },
    Entry { names: &["gid"], takes: Takes::Value, setup: gid },
    Entry { names: &["classtype"], takes: Takes::Value, setup: classtype },
    Entry { names: &["priority"], takes: Takes::Value, setup: priority },
    Entry { names: &["reference"], takes: Takes::Value, setup: reference },
    Entry { names: &["metadata"], takes: Takes::Value, setup: metadata },
    Entry { names: &["target"], takes: Takes::Value, setup: target },
    Entry { names: &["noalert"], takes: Takes::Nothing, setup: noalert },
    Entry { names: &["bypass"], takes: Takes::Nothing, setup: bypass },
];

fn msg(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    once(&mut draft.texts.msg, setting.value.quoted_text()?, setting.at, "msg")
}

fn sid(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    once(&mut draft.texts.sid, setting.value.number(1, u32::MAX)?, setting.at, "sid")
}

fn rev(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    once(&mut draft.texts.rev, setting.value.number(0, u32::MAX)?, setting.at, "rev")
}

fn gid(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    once(&mut draft.texts.gid, setting.value.number(0, u32::MAX)?, setting.at, "gid")
}

fn classtype(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let name = (setting.value.at, setting.value.text()?.to_owned());
    once(&mut draft.texts.classtype, name, setting.at, "classtype")
}

fn priority(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    once(&mut draft.texts.priority, setting.value.number(1, 255)?, setting.at, "priority")
}

fn reference(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let text = setting.value.text()?;
    let parts = text.split_once(',').map(|(system, value)| (system.trim(), value.trim()));
    let Some((system, value)) = parts.filter(|(system, value)| !system.is_empty() && !value.is_empty())
    else {
        return Err(Fault::new(setting.value.at, format!("expected `system,reference`, found `{text}`")));
    };
    draft.texts.references.push(Reference { system: system.to_owned(), value: value.to_owned() });
    Ok(())
}

/// `key value, key value, …`: a key may come again, with a further value.
fn metadata(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    for part in setting.value.list() {
        let text = part.text()?;
        let (key, value) =
            text.split_once(' ').map_or((text, None), |(key, value)| (key, Some(value.trim())));
        let known = draft.texts.metadata.iter_mut().find(|known| known.key == key);
        let values = value.map(str::to_owned);
        match known {
            Some(known) => known.values.extend(values),
            None if key.is_empty() => return Err(Fault::new(part.at, "expected `key value`")),
            None => {
                let values = values.into_iter().collect();
                draft.texts.metadata.push(Metadata { key: key.to_owned(), values });
            }
        }
    }
    Ok(())
}

fn target(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let side = match setting.value.text()? {
        "src_ip" => Target::Source,
        "dest_ip" => Target::Destination,
        other => {
            let reason = format!("expected `src_ip` or `dest_ip`, found `{other}`");
            return Err(Fault::new(setting.value.at, reason));
        }
    };
    once(&mut draft.texts.target, side, setting.at, "target")
}

/// A match ends the inspection of its flow; see [`Outcome::bypass`](crate::Outcome::bypass).
fn bypass(draft: &mut Draft, _: Setting<'_>) -> Result<(), Fault> {
    draft.bypass = true;
    Ok(())
}

fn noalert(draft: &mut Draft, _: Setting<'_>) -> Result<(), Fault> {
    draft.texts.noalert = true;
    Ok(())
}
