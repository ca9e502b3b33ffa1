//! `flow.pkts_toserver`: packets to the server so far.

use super::flow_facts::{Fact, Side, add};
use super::{Entry, Setting, Takes};
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["flow.pkts_toserver"], takes: Takes::Value, setup };

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    add(draft, setting.value, Fact::Packets(Side::ToServer))
}
