//! `stream-event`: what TCP tracking remarked about a packet.

use portcullis_stream::StreamEvent;

use super::{Entry, Setting, Takes};
use crate::draft::{Draft, PacketTest};
use crate::error::Fault;
use crate::input::Input;

pub(super) const KEYWORD: Entry = Entry { names: &["stream-event"], takes: Takes::Value, setup };

#[derive(Debug)]
struct HasStreamEvent(StreamEvent);

impl PacketTest for HasStreamEvent {
    fn matches(&self, input: &Input<'_>) -> bool {
        input.flow.is_some_and(|flow| flow.stream_events.contains(self.0))
    }
}

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let name = setting.value.text()?;
    let Some(event) = StreamEvent::named(name) else {
        return Err(Fault::new(setting.value.at, format!("unknown stream event `{name}`")));
    };
    draft.on_event = true;
    draft.tests.push(Box::new(HasStreamEvent(event)));
    Ok(())
}
