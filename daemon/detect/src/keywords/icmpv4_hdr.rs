//! `icmpv4.hdr`: what follows looks at the ICMP header.

use super::{Entry, Setting, Takes};
use crate::buffer::Buffer;
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["icmpv4.hdr"], takes: Takes::Nothing, setup };

fn setup(draft: &mut Draft, _: Setting<'_>) -> Result<(), Fault> {
    draft.buffer = Buffer::Icmpv4Header;
    Ok(())
}
