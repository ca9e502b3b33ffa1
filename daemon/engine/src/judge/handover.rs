//! One flow to another process and from one: with its session, and what only records show of it.

use super::Judge;
use portcullis_capture::{Packet, PacketMeta};
use portcullis_flow::portable::Reader;
use portcullis_flow::{Flow, FlowTable, Told};
use portcullis_stream::{ImportError, StreamHandle};
use portcullis_wire::{Decoded, Timestamp};

impl Judge {
    /// Appends all that goes along with a flow.
    pub(crate) fn tell_flow(&self, flow: &Flow<'_>, out: &mut Vec<u8>) {
        flow.tell(out);
        let place = out.len();
        out.push(0);
        let session = StreamHandle::from_bits(flow.stream());
        let told = session.is_some_and(|session| self.streams.export(session, &self.rule_name(), out));
        if let Some(is_there) = out.get_mut(place) {
            *is_there = u8::from(told);
        }
        self.columns.tell(flow, out);
    }

    /// Takes over a flow: `true` if it is new here. `None` where the record is none, or there is no room.
    pub(crate) fn take_flow(&mut self, table: &mut FlowTable, record: &[u8], now: Timestamp) -> Option<bool> {
        let mut reader = Reader::new(record);
        let told = Told::read(&mut reader)?;
        let session = match reader.u8()? {
            0 => None,
            1 => Some(self.take_session(&mut reader)),
            _ => return None,
        };
        let (session, refused) = match session {
            None => (None, false),
            Some(Ok(handle)) => (Some(handle), false),
            Some(Err(ImportError::NoMemory)) => (None, true),
            Some(Err(ImportError::Malformed)) => return None,
        };
        let shown = self.columns.read(&mut reader).filter(|_| reader.is_empty());
        let taken = shown.and_then(|shown| Some((shown, table.take_over(&told, now).ok()?)));
        let Some((shown, (mut flow, is_new))) = taken else {
            if let Some(session) = session {
                self.streams.release(session);
            }
            return None;
        };
        if let Some(earlier) = StreamHandle::from_bits(flow.stream()) {
            self.streams.release(earlier);
        }
        flow.set_stream(session.map_or(0, StreamHandle::to_bits));
        if refused {
            // What is left of it will be picked up, unseen as its beginning is.
            self.uninspected += u64::from(flow.set_uninspected());
        }
        flow.set_rules_version(self.rules_version);
        self.columns.restore(&mut flow, shown);
        if is_new {
            self.begin_taken(&mut flow, now);
        }
        Some(is_new)
    }

    /// Runs the init callbacks of a flow that began elsewhere: there is no packet to show them.
    fn begin_taken(&mut self, flow: &mut Flow<'_>, now: Timestamp) {
        self.context.now = now;
        let ((source, source_port), (destination, destination_port)) = (flow.client(), flow.server());
        let decoded = Decoded {
            vlans: flow.vlans(),
            ip_version: flow.ip_version(),
            protocol: flow.protocol(),
            source,
            destination,
            source_port,
            destination_port,
            ..Decoded::default()
        };
        let meta =
            PacketMeta { timestamp: now, clock: now, ingress: flow.ingress(), ..PacketMeta::default() };
        self.callbacks.init(&mut self.context, flow, &Packet::new(&mut [], meta), &decoded);
        self.counters.flow_callbacks_init += 1;
    }

    fn take_session(&mut self, reader: &mut Reader<'_>) -> Result<StreamHandle, ImportError> {
        let rules = &self.rules;
        self.streams.import(&|rule| rules.name(rule), reader)
    }

    fn rule_name(&self) -> impl Fn(u32) -> u64 {
        |rule| self.rules.name(rule)
    }
}
