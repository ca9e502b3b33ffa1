//! `ipv6.hdr`: what follows looks at the IPv6 header with its extensions.

use super::{Entry, Setting, Takes};
use crate::buffer::Buffer;
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["ipv6.hdr"], takes: Takes::Nothing, setup };

fn setup(draft: &mut Draft, _: Setting<'_>) -> Result<(), Fault> {
    draft.buffer = Buffer::Ipv6Header;
    Ok(())
}
