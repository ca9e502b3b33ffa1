//! `ack`: the acknowledgement number of a TCP segment.

use super::tcp_number::add;
use super::{Entry, Setting, Takes};
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["ack", "tcp.ack"], takes: Takes::Value, setup };

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    add(draft, setting, u32::MAX, |header| header.ack)
}
