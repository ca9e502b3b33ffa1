//! `decode-event`: what the decoder remarked about a packet.

use portcullis_wire::decoded::DecodeEvent;

use super::{Entry, Setting, Takes};
use crate::draft::{Draft, PacketTest};
use crate::error::Fault;
use crate::input::Input;

pub(super) const KEYWORD: Entry = Entry { names: &["decode-event"], takes: Takes::Value, setup };

#[derive(Debug)]
struct HasEvent(DecodeEvent);

impl PacketTest for HasEvent {
    fn matches(&self, input: &Input<'_>) -> bool {
        input.decoded.events.contains(self.0)
    }
}

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let name = setting.value.text()?;
    let known = DecodeEvent::ALL.iter().find(|event| event.name() == name);
    let Some(event) = known else {
        return Err(Fault::new(setting.value.at, format!("decoder event `{name}` is not supported")));
    };
    draft.on_event = true;
    draft.tests.push(Box::new(HasEvent(*event)));
    Ok(())
}
