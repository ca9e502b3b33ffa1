//! Which way a packet travels in its flow.

/// The direction of a packet relative to who began its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the side that began the flow.
    ToServer,
    /// To the side that began the flow.
    ToClient,
}
