//! `bypass`: a match ends the inspection of its flow.

use super::{Entry, Setting, Takes};
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["bypass"], takes: Takes::Nothing, setup };

/// A match ends the inspection of its flow; see [`Outcome::bypass`](crate::Outcome::bypass).
fn setup(draft: &mut Draft, _: Setting<'_>) -> Result<(), Fault> {
    draft.bypass = true;
    Ok(())
}
