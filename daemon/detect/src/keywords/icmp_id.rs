//! `icmp_id`: the identifier of an echo.

use super::icmp_number::add;
use super::{Entry, Setting, Takes};
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["icmp_id"], takes: Takes::Value, setup };

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    add(draft, setting, 65_535, false, |message| message.echo.map(|(id, _)| u32::from(id)))
}
