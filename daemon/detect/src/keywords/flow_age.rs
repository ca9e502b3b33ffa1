//! `flow.age`: seconds since the first packet.

use super::flow_facts::{Fact, add};
use super::{Entry, Setting, Takes};
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["flow.age"], takes: Takes::Value, setup };

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    add(draft, setting.value, Fact::Age)
}
