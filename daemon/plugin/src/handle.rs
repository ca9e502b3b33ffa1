//! What a plugin's opaque pointers stand for: flow and packet on loan for one call.

use portcullis_capture::{DropReason, Packet, PacketMeta};
use portcullis_flow::{Direction, Flow, HookId, PacketAccess, WordsId};
use portcullis_wire::decoded::Span;
use portcullis_wire::{Decoded, Timestamp};

/// What a plugin's numbers of hooks and storages stand for, by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ids {
    pub(crate) hooks: Vec<HookId>,
    pub(crate) storages: Vec<WordsId>,
}

/// A flow on loan to a plugin.
#[derive(Debug)]
pub(crate) struct FlowHandle<'h, 't> {
    pub(crate) flow: &'h mut Flow<'t>,
    pub(crate) now: Timestamp,
    pub(crate) ids: &'h Ids,
}

impl FlowHandle<'_, '_> {
    pub(crate) fn hook(&self, number: u32) -> Option<HookId> {
        self.ids.hooks.get(usize::try_from(number).ok()?).copied()
    }

    /// The words of the storage of this number.
    pub(crate) fn storage(&mut self, number: u32) -> Option<&mut [u64]> {
        let id = *self.ids.storages.get(usize::try_from(number).ok()?)?;
        self.flow.words_mut(id)
    }
}

/// A packet on loan to a plugin.
#[derive(Debug)]
pub(crate) enum PacketHandle<'h, 'a, 'p> {
    /// The one that a flow was made for.
    Read { packet: &'h Packet<'p>, decoded: &'h Decoded, direction: Direction },
    /// One that may be changed and dropped.
    Write(&'h mut PacketAccess<'a, 'p>),
}

impl PacketHandle<'_, '_, '_> {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Read { packet, .. } => packet.bytes(),
            Self::Write(access) => access.bytes(),
        }
    }

    pub(crate) fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        match self {
            Self::Read { .. } => None,
            Self::Write(access) => Some(access.bytes_mut()),
        }
    }

    pub(crate) fn meta(&self) -> &PacketMeta {
        match self {
            Self::Read { packet, .. } => &packet.meta,
            Self::Write(access) => access.meta(),
        }
    }

    pub(crate) fn payload(&self) -> Span {
        match self {
            Self::Read { decoded, .. } => decoded.payload,
            Self::Write(access) => access.decoded().payload,
        }
    }

    pub(crate) fn direction(&self) -> Direction {
        match self {
            Self::Read { direction, .. } => *direction,
            Self::Write(access) => access.direction(),
        }
    }

    /// False where the packet cannot be dropped.
    pub(crate) fn drop_with(&mut self, reason: DropReason) -> bool {
        match self {
            Self::Read { .. } => false,
            Self::Write(access) => {
                access.drop_with(reason);
                true
            }
        }
    }
}
