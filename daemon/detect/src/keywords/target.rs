//! `target`: which side an attack is aimed at.

use super::{Entry, Setting, Takes, once};
use crate::draft::Draft;
use crate::error::Fault;
use crate::signature::Target;

pub(super) const KEYWORD: Entry = Entry { names: &["target"], takes: Takes::Value, setup };

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
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
