//! Numbers that stand for words. Functions take and return them as plain 32-bit numbers, so that a wrong
//! one can be refused.

/// Which way of its flow a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub enum Direction {
    /// From the client, who sent the flow's first packet.
    ToServer = 0,
    /// From the server.
    ToClient = 1,
}

/// The state of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub enum FlowState {
    /// TCP: before the handshake is complete. Else: seen in one direction only.
    New = 0,
    /// TCP: the handshake is complete. Else: seen in both directions.
    Established = 1,
    /// TCP: the session is over.
    Closed = 2,
    /// No longer inspected.
    Bypassed = 3,
}

/// Why a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub enum EndReason {
    /// It has not: it is in the table.
    None = 0,
    /// A new TCP session with the same ports took its place.
    TcpReuse = 1,
    /// It was evicted to make room.
    Forced = 2,
    /// The engine stopped.
    Shutdown = 3,
    /// It was idle for long enough.
    Timeout = 4,
    /// Another reason.
    Unknown = 5,
    /// Another process goes on with it.
    HandedOver = 6,
}

/// What is so of a flow; one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub enum FlowFlags {
    /// A packet to the server was seen.
    SeenToServer = 1,
    /// A packet to the client was seen.
    SeenToClient = 2,
    /// A rule alerted on it.
    Alerted = 4,
    /// All further packets are dropped.
    Dropped = 8,
    /// All further packets pass uninspected.
    Passed = 16,
    /// It is bypassed.
    Bypassed = 32,
    /// It expired, or made room, while memory was short.
    Emergency = 64,
    /// Its payload is exempt from inspection.
    NoPayloadInspection = 128,
}

/// Why a packet, or a flow, is dropped: `drop.reason` of its record and the counter's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub enum DropReason {
    /// `callback`: because a hook says so. The one to use where no other fits.
    Callback = 0,
    /// `decode error`
    DecodeError = 1,
    /// `stream error`
    StreamError = 2,
    /// `applayer error`
    ApplayerError = 3,
    /// `rules`
    Rules = 4,
    /// `threshold detection_filter`
    ThresholdDetectionFilter = 5,
}

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub enum LogLevel {
    /// Something failed.
    Error = 0,
    /// Something is not as it should be.
    Warning = 1,
    /// Good to know.
    Info = 2,
}

/// Gives each word its number back.
macro_rules! from_number {
    ($($name:ident: $($word:ident)*;)*) => {$(
        impl $name {
            /// The word that this number stands for.
            #[must_use]
            pub const fn from_number(number: u32) -> Option<Self> {
                $(if number == Self::$word as u32 {
                    return Some(Self::$word);
                })*
                None
            }

            /// The number.
            #[must_use]
            pub const fn number(self) -> u32 {
                self as u32
            }
        }
    )*};
}

from_number! {
    Direction: ToServer ToClient;
    FlowState: New Established Closed Bypassed;
    EndReason: None TcpReuse Forced Shutdown Timeout Unknown HandedOver;
    FlowFlags: SeenToServer SeenToClient Alerted Dropped Passed Bypassed Emergency NoPayloadInspection;
    DropReason: Callback DecodeError StreamError ApplayerError Rules ThresholdDetectionFilter;
    LogLevel: Error Warning Info;
}
