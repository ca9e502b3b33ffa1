//! `window`: the window of a TCP segment, as the header has it.

use super::tcp_number::add;
use super::{Entry, Setting, Takes};
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["window", "tcp.window"], takes: Takes::Value, setup };

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    add(draft, setting, 65_535, |header| u32::from(header.window))
}
