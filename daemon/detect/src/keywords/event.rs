//! `decode-event`, `stream-event`

use portcullis_stream::StreamEvent;
use portcullis_wire::decoded::DecodeEvent;

use super::{Entry, Setting, Takes};
use crate::draft::{Draft, PacketTest};
use crate::error::Fault;
use crate::input::Input;

pub(super) const KEYWORDS: &[Entry] = &[
    Entry { names: &["decode-event"], takes: Takes::Value, setup: decode_event },
    Entry { names: &["stream-event"], takes: Takes::Value, setup: stream_event },
];

#[derive(Debug)]
struct HasEvent(DecodeEvent);

impl PacketTest for HasEvent {
    fn matches(&self, input: &Input<'_>) -> bool {
        input.decoded.events.contains(self.0)
    }
}

fn decode_event(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let name = setting.value.text()?;
    let known = DecodeEvent::ALL.iter().find(|event| event.name() == name);
    let Some(event) = known else {
        return Err(Fault::new(setting.value.at, format!("decoder event `{name}` is not supported")));
    };
    draft.on_event = true;
    draft.tests.push(Box::new(HasEvent(*event)));
    Ok(())
}

#[derive(Debug)]
struct HasStreamEvent(StreamEvent);

impl PacketTest for HasStreamEvent {
    fn matches(&self, input: &Input<'_>) -> bool {
        input.flow.is_some_and(|flow| flow.stream_events.contains(self.0))
    }
}

fn stream_event(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    let name = setting.value.text()?;
    let Some(event) = StreamEvent::named(name) else {
        return Err(Fault::new(setting.value.at, format!("unknown stream event `{name}`")));
    };
    draft.on_event = true;
    draft.tests.push(Box::new(HasStreamEvent(event)));
    Ok(())
}
