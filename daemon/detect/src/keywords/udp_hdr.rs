//! `udp.hdr`: what follows looks at the UDP header.

use super::{Entry, Setting, Takes};
use crate::buffer::Buffer;
use crate::draft::Draft;
use crate::error::Fault;

pub(super) const KEYWORD: Entry = Entry { names: &["udp.hdr"], takes: Takes::Nothing, setup };

fn setup(draft: &mut Draft, _: Setting<'_>) -> Result<(), Fault> {
    draft.buffer = Buffer::UdpHeader;
    Ok(())
}
