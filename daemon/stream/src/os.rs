//! How the hosts behind us put overlapping segments together: `host-os-policy`.

use portcullis_wire::TargetOs;

/// How a new segment lies to a run of an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overlap {
    pub(crate) new_begins_before: bool,
    pub(crate) same_begin: bool,
    pub(crate) new_ends_after: bool,
}

/// Does a new segment win over a run that it overlaps? A run is what is left of one earlier segment.
///
/// By Novak and Sturges, *Target-Based TCP Stream Reassembly* (2007), and Shankar and Paxson, *Active
/// Mapping* (2003), as far as runs tell it:
///
/// | receiver | the new segment wins where |
/// |---|---|
/// | bsd, bsd-right, hpux10, irix | it begins before |
/// | linux | it begins before, or at the same place and ends later |
/// | old-linux, old-solaris | it begins before, or at the same place |
/// | windows | it begins before and ends after |
/// | solaris, hpux11 | it begins before, or ends after |
/// | last | always |
/// | first, macos, vista, windows2k3 | never |
pub(crate) const fn new_wins(os: TargetOs, overlap: Overlap) -> bool {
    let Overlap { new_begins_before, same_begin, new_ends_after } = overlap;
    match os {
        TargetOs::Bsd | TargetOs::BsdRight | TargetOs::Hpux10 | TargetOs::Irix => new_begins_before,
        TargetOs::Linux => new_begins_before || same_begin && new_ends_after,
        TargetOs::OldLinux | TargetOs::OldSolaris => new_begins_before || same_begin,
        TargetOs::Windows => new_begins_before && new_ends_after,
        TargetOs::Solaris | TargetOs::Hpux11 => new_begins_before || new_ends_after,
        TargetOs::Last => true,
        TargetOs::First | TargetOs::Macos | TargetOs::Vista | TargetOs::Windows2k3 => false,
    }
}
