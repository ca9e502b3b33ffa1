//! `flow.bytes`: bytes so far, of either direction.

use super::flow_facts::{Fact, sided};
use super::{Entry, Setting, Takes};
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["flow.bytes"], takes: Takes::Value, setup };

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    sided(draft, setting, Fact::Bytes)
}
