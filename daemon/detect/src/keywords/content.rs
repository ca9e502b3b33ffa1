//! `content` and its modifiers.

use super::bytes::amount;
use super::{Entry, Setting, Takes, once};
use crate::content::Spec;
use crate::draft::{ContentDraft, Draft};
use crate::error::Fault;
use crate::pattern;

/// Largest distance either way, as in Suricata.
const DISTANCE_MAX: i64 = 1_048_576;

pub(super) const KEYWORDS: &[Entry] = &[
    Entry { names: &["content"], takes: Takes::Value, setup: content },
    Entry { names: &["nocase"], takes: Takes::Nothing, setup: nocase },
    Entry { names: &["offset"], takes: Takes::Value, setup: offset },
    Entry { names: &["depth"], takes: Takes::Value, setup: depth },
    Entry { names: &["distance"], takes: Takes::Value, setup: distance },
    Entry { names: &["within"], takes: Takes::Value, setup: within },
    Entry { names: &["startswith"], takes: Takes::Nothing, setup: startswith },
    Entry { names: &["endswith"], takes: Takes::Nothing, setup: endswith },
    Entry { names: &["fast_pattern"], takes: Takes::Maybe, setup: fast_pattern },
    Entry { names: &["rawbytes"], takes: Takes::Nothing, setup: rawbytes },
];

fn content(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let (negated, bytes) = pattern::parse(setting.value)?;
    let spec = Spec { bytes, negated, ..Spec::default() };
    draft.push_content(ContentDraft { at: setting.at, spec, ..ContentDraft::default() })
}

fn nocase(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let content = draft.content(setting.at, "nocase")?;
    flag(&mut content.spec.nocase, setting.at, "nocase")
}

fn offset(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let number = amount(draft, setting.value, 0, i64::from(u16::MAX))?;
    let content = draft.content(setting.at, "offset")?;
    once(&mut content.spec.offset, number, setting.at, "offset")
}

fn depth(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let number = amount(draft, setting.value, 1, i64::from(u16::MAX))?;
    let content = draft.content(setting.at, "depth")?;
    once(&mut content.spec.depth, number, setting.at, "depth")
}

fn distance(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let number = amount(draft, setting.value, -DISTANCE_MAX, DISTANCE_MAX)?;
    let content = draft.content(setting.at, "distance")?;
    once(&mut content.spec.distance, number, setting.at, "distance")
}

fn within(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let number = amount(draft, setting.value, 1, DISTANCE_MAX)?;
    let content = draft.content(setting.at, "within")?;
    once(&mut content.spec.within, number, setting.at, "within")
}

fn startswith(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let content = draft.content(setting.at, "startswith")?;
    flag(&mut content.startswith, setting.at, "startswith")
}

fn endswith(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let content = draft.content(setting.at, "endswith")?;
    flag(&mut content.spec.endswith, setting.at, "endswith")
}

/// `fast_pattern`, `fast_pattern:only` or `fast_pattern:offset,length`. On a negated content, which no
/// prefilter can look for, it is a hint without effect.
fn fast_pattern(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    if draft.contents().any(|(_, content)| content.fast_pattern) {
        return Err(Fault::new(setting.at, "`fast_pattern` is given twice"));
    }
    let content = draft.content(setting.at, "fast_pattern")?;
    content.fast_pattern = true;
    match setting.value.bytes {
        b"" => {}
        b"only" => content.only = true,
        _ => {
            let mut parts = setting.value.list();
            let (Some(offset), Some(length), None) = (parts.next(), parts.next(), parts.next()) else {
                let reason = "expected `only` or `offset,length` after `fast_pattern:`";
                return Err(Fault::new(setting.value.at, reason));
            };
            let offset = usize::from(offset.number(0, u16::MAX)?);
            content.chop = Some((offset, usize::from(length.number(1, u16::MAX)?)));
        }
    }
    Ok(())
}

/// Everything is searched raw, so this says what is so anyway.
fn rawbytes(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    draft.content(setting.at, "rawbytes").map(|_| ())
}

fn flag(slot: &mut bool, at: usize, name: &str) -> Result<(), Fault> {
    if std::mem::replace(slot, true) {
        return Err(Fault::new(at, format!("`{name}` is given twice")));
    }
    Ok(())
}
