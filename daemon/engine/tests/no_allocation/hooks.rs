//! Hooks of every kind, which use all that hooks may use.

use portcullis_capture::Packet;
use portcullis_flow::{
    Flow, FlowCallbacks, HookId, PacketAccess, Registry, RemovalHook, StorageId, WordsId, WorkerContext,
};
use portcullis_wire::Decoded;
use std::sync::Arc;

struct Watch {
    removal: [HookId; 2],
    packets: StorageId<u64>,
    first: StorageId<[u8; 20]>,
    words: WordsId,
}

impl FlowCallbacks for Watch {
    fn init(&mut self, _: &mut WorkerContext, flow: &mut Flow<'_>, packet: &Packet<'_>, _: &Decoded) {
        let mut first = [0; 20];
        let length = packet.bytes().len().min(first.len());
        first[..length].copy_from_slice(&packet.bytes()[..length]);
        assert_eq!((flow.store(self.packets, 0), flow.store(self.first, first)), (Ok(None), Ok(None)));
        self.removal.iter().for_each(|id| assert!(flow.register_removal_hook(*id)));
    }

    fn update(&mut self, _: &mut WorkerContext, flow: &mut Flow<'_>, packet: &mut PacketAccess<'_, '_>) {
        if let Some(packets) = flow.stored_mut(self.packets) {
            *packets += 1;
        }
        if let Some(words) = flow.words_mut(self.words) {
            words[1] += u64::from(packet.meta().wire_length);
        }
        let length = packet.bytes().len();
        if length.is_multiple_of(13) {
            packet.bytes_mut()[length - 1] ^= 0;
        }
        if flow.id().is_multiple_of(50) {
            packet.drop_packet();
        }
        if flow.id().is_multiple_of(3) {
            flow.unregister_removal_hook(self.removal[1]);
        }
    }

    fn finish(&mut self, _: &mut WorkerContext, flow: &mut Flow<'_>) {
        assert!(flow.end().is_some() && flow.stored(self.packets).is_some_and(|packets| *packets > 0));
    }
}

/// Lifecycle callbacks, two removal hooks, two columns of values and one of words.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::default();
    let removal = ["one", "two"].map(|name| {
        let make = |_| Box::new(|_: &mut WorkerContext, _: &mut Flow<'_>| {}) as Box<dyn RemovalHook>;
        registry.removal_hook(name, Box::new(make)).expect("a new name")
    });
    let packets = registry.storage().expect("room");
    let first = registry.storage().expect("room");
    let words = registry.words("words", 2, Arc::new(|words| words.fill(0))).expect("room");
    let make = move |_| Box::new(Watch { removal, packets, first, words }) as Box<dyn FlowCallbacks>;
    registry.register("watch", Box::new(make)).expect("a new name");
    registry.freeze();
    registry
}
