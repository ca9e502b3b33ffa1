//! `pkt_data`: what follows looks at the payload again.

use super::{Entry, Setting, Takes};
use crate::buffer::Buffer;
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["pkt_data"], takes: Takes::Nothing, setup };

fn setup(draft: &mut Draft, _: Setting<'_>) -> Result<(), Fault> {
    draft.buffer = Buffer::Payload;
    Ok(())
}
