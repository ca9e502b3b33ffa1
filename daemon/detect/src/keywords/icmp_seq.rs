//! `icmp_seq`: the sequence number of an echo.

use super::icmp_number::add;
use super::{Entry, Setting, Takes};
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["icmp_seq"], takes: Takes::Value, setup };

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    add(draft, setting, 65_535, false, |message| message.echo.map(|(_, sequence)| u32::from(sequence)))
}
