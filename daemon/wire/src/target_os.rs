//! The operating systems that `host-os-policy` names: how a receiver puts overlapping fragments and
//! segments together depends on what it runs.

/// What a host runs, as far as that decides between overlapping data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetOs {
    /// `windows`: up to XP.
    Windows,
    /// `bsd`
    Bsd,
    /// `bsd-right`
    BsdRight,
    /// `old-linux`: up to 2.4.
    OldLinux,
    /// `linux`
    Linux,
    /// `old-solaris`
    OldSolaris,
    /// `solaris`
    Solaris,
    /// `hpux10`
    Hpux10,
    /// `hpux11`
    Hpux11,
    /// `irix`
    Irix,
    /// `macos`
    Macos,
    /// `vista`
    Vista,
    /// `windows2k3`
    Windows2k3,
    /// `first`: whatever came first.
    First,
    /// `last`: whatever came last.
    Last,
}

impl TargetOs {
    /// Every one of them.
    pub const ALL: [Self; 15] = [
        Self::Windows,
        Self::Bsd,
        Self::BsdRight,
        Self::OldLinux,
        Self::Linux,
        Self::OldSolaris,
        Self::Solaris,
        Self::Hpux10,
        Self::Hpux11,
        Self::Irix,
        Self::Macos,
        Self::Vista,
        Self::Windows2k3,
        Self::First,
        Self::Last,
    ];

    /// The key under `host-os-policy`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Bsd => "bsd",
            Self::BsdRight => "bsd-right",
            Self::OldLinux => "old-linux",
            Self::Linux => "linux",
            Self::OldSolaris => "old-solaris",
            Self::Solaris => "solaris",
            Self::Hpux10 => "hpux10",
            Self::Hpux11 => "hpux11",
            Self::Irix => "irix",
            Self::Macos => "macos",
            Self::Vista => "vista",
            Self::Windows2k3 => "windows2k3",
            Self::First => "first",
            Self::Last => "last",
        }
    }
}
