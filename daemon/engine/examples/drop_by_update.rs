//! Drops packets with a forbidden word, and all further packets of their flow: an update callback
//! with a say in the verdict.

#[expect(dead_code, reason = "shared with examples that use more of it")]
mod gate;

use gate::Gate;
use portcullis_capture::{DropReason, Verdict};
use portcullis_flow::{Flow, FlowAction, FlowCallbacks, PacketAccess, Registry, WorkerContext};

struct Censor {
    word: &'static [u8],
}

impl FlowCallbacks for Censor {
    fn update(&mut self, _: &mut WorkerContext, flow: &mut Flow<'_>, packet: &mut PacketAccess<'_, '_>) {
        let payload = packet.decoded().payload.of(packet.bytes());
        if payload.windows(self.word.len()).any(|part| part == self.word) {
            packet.drop_packet();
            flow.set_action(FlowAction::Drop(DropReason::Callback));
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut registry = Registry::default();
    registry.register("censor", Box::new(|_| Box::new(Censor { word: b"secret" })))?;
    let mut gate = Gate::new(registry)?;
    let verdicts = gate.send(&[
        gate::udp(1, b"hello"),
        gate::udp(1, b"the secret is"),
        gate::udp(1, b"hello again"),
        gate::udp(2, b"someone else"),
    ]);
    gate.close();
    gate::say(&format!("verdicts: {verdicts:?}"));
    let dropped = |reason| Verdict::Drop(reason);
    let expected =
        [Verdict::Accept, dropped(DropReason::Callback), dropped(DropReason::FlowDrop), Verdict::Accept];
    if verdicts != expected {
        return Err("the second packet should be dropped, and the third with its flow".into());
    }
    Ok(())
}
