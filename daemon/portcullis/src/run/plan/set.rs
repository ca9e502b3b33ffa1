//! What one inline set is told, and what the kernel does with its frames.

use crate::config::{Config, FailPolicy, InlineSet, OverloadPolicy};
use portcullis_bpf::{Fail, GateSet, Overload};

/// One inline set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SetPlan {
    pub(crate) name: String,
    /// How many ports it has, in the order of all ports.
    pub(crate) ports: usize,
    pub(crate) fail: FailPolicy,
    pub(crate) overload: OverloadPolicy,
}

impl SetPlan {
    pub(super) fn new(config: &Config, set: &InlineSet) -> Self {
        Self {
            name: set.name.clone(),
            ports: set.pairs.len() * 2,
            fail: set.fail.unwrap_or(config.fail),
            overload: set.overload.unwrap_or(config.overload),
        }
    }

    /// By port: do packets pass that their owner has no room for?
    pub(super) fn bypass(&self) -> impl Iterator<Item = bool> {
        std::iter::repeat_n(self.overload == OverloadPolicy::Bypass, self.ports)
    }

    /// What the XDP program does with the set's frames.
    pub(super) fn gate(&self, latched_fail: Option<FailPolicy>) -> GateSet {
        GateSet {
            ports: self.ports,
            fail: fail(self.fail),
            overload: match self.overload {
                OverloadPolicy::Drop => Overload::Drop,
                OverloadPolicy::Bypass => Overload::Bypass,
            },
            latched_fail: fail(latched_fail.unwrap_or(self.fail)),
        }
    }
}

/// While links are being taken down nothing passes.
const fn fail(policy: FailPolicy) -> Fail {
    match policy {
        FailPolicy::Open => Fail::Open,
        FailPolicy::Closed | FailPolicy::LinkDown => Fail::Closed,
    }
}
