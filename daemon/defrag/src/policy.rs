//! Which of two overlapping fragments counts, where it depends on the receiver (Shankar and Paxson,
//! "Active Mapping", 2003; Novak, "Target-Based Fragmentation Reassembly", 2005).

use portcullis_wire::TargetOs;

/// How a receiver settles an overlap between a fragment and one that came before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OverlapPolicy {
    /// What came first counts.
    First,
    /// What came last counts (RFC 791).
    Last,
    /// The fragment that begins earlier counts; of two that begin together, the first.
    #[default]
    Bsd,
    /// The fragment that begins later counts; of two that begin together, the last.
    BsdRight,
    /// As BSD, but of two that begin together the last counts.
    Linux,
    /// What came first counts, unless the new fragment begins before and ends after it.
    Windows,
    /// What came first counts, unless the new fragment begins before it and ends with or after it.
    Solaris,
}

/// Where a fragment lies, in units of eight bytes: `start..end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) start: u16,
    pub(crate) end: u16,
}

impl OverlapPolicy {
    /// Every policy.
    pub const ALL: [Self; 7] =
        [Self::First, Self::Last, Self::Bsd, Self::BsdRight, Self::Linux, Self::Windows, Self::Solaris];

    /// The policy's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Last => "last",
            Self::Bsd => "bsd",
            Self::BsdRight => "bsd-right",
            Self::Linux => "linux",
            Self::Windows => "windows",
            Self::Solaris => "solaris",
        }
    }

    /// How fragments are put together by a host that runs `system`.
    #[must_use]
    pub const fn of(system: TargetOs) -> Self {
        match system {
            TargetOs::Bsd | TargetOs::Hpux10 | TargetOs::Irix => Self::Bsd,
            TargetOs::BsdRight => Self::BsdRight,
            TargetOs::OldLinux | TargetOs::Linux => Self::Linux,
            TargetOs::OldSolaris | TargetOs::Hpux11 | TargetOs::Macos | TargetOs::First => Self::First,
            TargetOs::Solaris => Self::Solaris,
            TargetOs::Windows | TargetOs::Vista | TargetOs::Windows2k3 => Self::Windows,
            TargetOs::Last => Self::Last,
        }
    }

    /// Does the new fragment count where it overlaps an old one?
    pub(crate) const fn favours_new(self, old: Extent, new: Extent) -> bool {
        match self {
            Self::First => false,
            Self::Last => true,
            Self::Bsd => new.start < old.start,
            Self::BsdRight => new.start >= old.start,
            Self::Linux => new.start <= old.start,
            Self::Windows => new.start < old.start && new.end > old.end,
            Self::Solaris => new.start < old.start && new.end >= old.end,
        }
    }
}
