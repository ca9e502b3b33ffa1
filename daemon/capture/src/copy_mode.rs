//! What becomes of judged packets, as a module between ports is told.

/// What becomes of judged packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyMode {
    /// Accepted ones leave through the peer port.
    #[default]
    Ips,
    /// All leave through the peer port as they came, whatever the verdict.
    Tap,
    /// None leaves: the ports only listen.
    Ids,
}

impl CopyMode {
    /// Do frames leave through the peer port?
    #[must_use]
    pub const fn forwards(self) -> bool {
        !matches!(self, Self::Ids)
    }

    /// Is traffic only read?
    #[must_use]
    pub const fn is_pass_through(self) -> bool {
        !matches!(self, Self::Ips)
    }
}
