//! Counts the payload bytes of every flow in a value of its own beside the flow, and tells the sum
//! when the flow has ended: all three lifecycle callbacks and typed storage.

#[expect(dead_code, reason = "shared with examples that use more of it")]
mod gate;

use gate::Gate;
use portcullis_capture::Packet;
use portcullis_flow::{Flow, FlowCallbacks, PacketAccess, RegisterError, Registry, StorageId, WorkerContext};
use portcullis_wire::Decoded;
use std::sync::mpsc::{Sender, channel};

/// Payload bytes of one flow.
#[derive(Clone, Copy, Default)]
struct Payload(u64);

struct ByteCounter {
    payload: StorageId<Payload>,
    told: Sender<(u64, u64)>,
}

impl FlowCallbacks for ByteCounter {
    fn init(&mut self, _: &mut WorkerContext, flow: &mut Flow<'_>, _: &Packet<'_>, _: &Decoded) {
        // The id is of this registry, so the value is taken.
        let _ = flow.store(self.payload, Payload::default());
    }

    fn update(&mut self, _: &mut WorkerContext, flow: &mut Flow<'_>, packet: &mut PacketAccess<'_, '_>) {
        if let Some(payload) = flow.stored_mut(self.payload) {
            payload.0 += packet.decoded().payload.len() as u64;
        }
    }

    fn finish(&mut self, _: &mut WorkerContext, flow: &mut Flow<'_>) {
        let bytes = flow.stored(self.payload).copied().unwrap_or_default().0;
        // Whoever listened may be gone.
        let _ = self.told.send((flow.id(), bytes));
    }
}

fn register(registry: &mut Registry, told: Sender<(u64, u64)>) -> Result<(), RegisterError> {
    let payload = registry.storage()?;
    registry
        .register("byte-counter", Box::new(move |_| Box::new(ByteCounter { payload, told: told.clone() })))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut registry = Registry::default();
    let (told, ended) = channel();
    register(&mut registry, told)?;
    let mut gate = Gate::new(registry)?;
    gate.send(&[gate::udp(1, b"four"), gate::udp(2, b"seventeen bytes!!"), gate::udp(1, b"six...")]);
    gate.close();
    let mut bytes: Vec<u64> = ended.try_iter().map(|(_, bytes)| bytes).collect();
    bytes.sort_unstable();
    gate::say(&format!("payload bytes by flow: {bytes:?}"));
    if bytes != [10, 17] {
        return Err("the flows had 10 and 17 bytes".into());
    }
    Ok(())
}
