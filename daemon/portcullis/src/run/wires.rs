//! The ports that packets come by, whichever module serves them: the rest of `run` does not ask which.

#[cfg(feature = "dpdk")]
use super::dpdk::DpdkWires;
use super::link::WardenLink;
use super::verdict_table::VerdictTable;
use portcullis_bpf::Hold;
use portcullis_capture::{Burst, CaptureStats, PacketModule, Poll, Properties, Unseen, Wake};
#[cfg(feature = "dpdk")]
use portcullis_capture_dpdk::{DpdkError, DpdkModule};
use portcullis_capture_xdp::{InlineSet, XdpError, XdpModule};
use portcullis_wire::Timestamp;
use std::io;
use std::sync::Arc;
use std::task::Waker;

/// One worker's queues.
#[derive(Debug)]
pub(crate) enum Module {
    /// AF_XDP sockets.
    Xdp(Box<XdpModule>),
    /// DPDK ports.
    #[cfg(feature = "dpdk")]
    Dpdk(Box<DpdkModule>),
}

impl Module {
    /// Has the death of this thread told where somebody looks for it, until what this gives is dropped.
    pub(crate) fn hold(&self) -> io::Result<Option<Hold>> {
        self.sockets().map(XdpModule::hold).transpose()
    }

    /// Tells that the worker lives which does not poll it yet.
    pub(crate) fn stay(&mut self) {
        match self {
            Self::Xdp(module) => module.stay(),
            #[cfg(feature = "dpdk")]
            Self::Dpdk(_) => {}
        }
    }

    fn sockets(&self) -> Option<&XdpModule> {
        match self {
            Self::Xdp(module) => Some(module),
            #[cfg(feature = "dpdk")]
            Self::Dpdk(_) => None,
        }
    }
}

/// Why they broke.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ModuleError {
    #[error(transparent)]
    Xdp(#[from] XdpError),
    #[cfg(feature = "dpdk")]
    #[error(transparent)]
    Dpdk(#[from] DpdkError),
}

/// Does the same with a module or a set of either kind.
macro_rules! either {
    ($kind:ident, $value:expr, $each:ident => $result:expr) => {
        match $value {
            $kind::Xdp($each) => $result,
            #[cfg(feature = "dpdk")]
            $kind::Dpdk($each) => $result,
        }
    };
}

impl PacketModule for Module {
    type Error = ModuleError;

    fn poll(&mut self, inspect: &mut dyn FnMut(&mut Burst<'_>)) -> Result<Poll, ModuleError> {
        either!(Self, self, module => Ok(module.poll(inspect)?))
    }

    fn wait(&mut self, until: Timestamp) -> Result<Wake, ModuleError> {
        either!(Self, self, module => Ok(module.wait(until)?))
    }

    fn waker(&self) -> Waker {
        either!(Self, self, module => module.waker())
    }

    fn properties(&self) -> Properties {
        either!(Self, self, module => module.properties())
    }

    fn now(&self) -> Timestamp {
        either!(Self, self, module => module.now())
    }

    fn unseen(&mut self) -> Option<Unseen> {
        either!(Self, self, module => module.unseen())
    }

    fn stats(&self) -> CaptureStats {
        either!(Self, self, module => module.stats())
    }
}

/// All ports, while the workers have their queues.
#[derive(Debug)]
pub(crate) enum Wires {
    /// Behind a program in the kernel.
    Xdp(InlineSet),
    /// DPDK's.
    #[cfg(feature = "dpdk")]
    Dpdk(DpdkWires),
}

impl Wires {
    /// Is there a program in the kernel, with a warden that looks after it?
    pub(crate) const fn has_gate(&self) -> bool {
        self.sockets().is_some()
    }

    /// The sockets, where there is such a program.
    pub(crate) const fn sockets(&self) -> Option<&InlineSet> {
        match self {
            Self::Xdp(set) => Some(set),
            #[cfg(feature = "dpdk")]
            Self::Dpdk(_) => None,
        }
    }

    /// Lets packets come to the workers, which must be at it by now.
    ///
    /// # Errors
    /// The warden's.
    pub(crate) fn publish(&mut self, warden: &mut WardenLink) -> Result<(), XdpError> {
        match self {
            Self::Xdp(set) => set.publish(warden),
            #[cfg(feature = "dpdk")]
            Self::Dpdk(_) => Ok(()),
        }
    }

    /// Begins the graceful end; the workers then end by themselves.
    ///
    /// # Errors
    /// The gate's. The workers end all the same.
    pub(crate) fn quiesce(&self, warden: &mut WardenLink) -> Result<(), XdpError> {
        match self {
            Self::Xdp(set) => set.quiesce(warden),
            #[cfg(feature = "dpdk")]
            Self::Dpdk(wires) => {
                wires.quiesce();
                Ok(())
            }
        }
    }

    /// The same after the gate has gone: only tells the workers.
    pub(crate) fn end(&self) {
        match self {
            Self::Xdp(set) => set.end(),
            #[cfg(feature = "dpdk")]
            Self::Dpdk(wires) => wires.quiesce(),
        }
    }

    /// Closes everything, given what the workers had; says what of the packet memory is nowhere.
    pub(crate) fn close(self, modules: Vec<Module>) -> Option<String> {
        match self {
            Self::Xdp(set) => {
                let missing = set.unaccounted(modules.iter().filter_map(Module::sockets));
                (missing > 0)
                    .then(|| format!("frames do not balance: {missing} of {} are nowhere", set.frames()))
            }
            #[cfg(feature = "dpdk")]
            Self::Dpdk(wires) => wires.close(modules),
        }
    }

    /// Looks after what changes by itself, every now and then.
    pub(crate) fn glance(&mut self) {
        match self {
            Self::Xdp(_) => {}
            #[cfg(feature = "dpdk")]
            Self::Dpdk(wires) => wires.glance(),
        }
    }

    /// Where ports carry out verdicts by themselves: a table of at most so many, for ports of these inline sets. Over
    /// AF_XDP that is the program's, which is known beforehand.
    #[cfg_attr(not(feature = "dpdk"), expect(unused_variables, reason = "only DPDK's ports do"))]
    pub(crate) fn verdict_table(&self, inline_sets: &[u8], most: u32) -> Option<Arc<dyn VerdictTable>> {
        match self {
            Self::Xdp(_) => None,
            #[cfg(feature = "dpdk")]
            Self::Dpdk(wires) => wires.verdict_table(inline_sets, most),
        }
    }

    /// What drivers count besides, by dotted names.
    pub(crate) fn extended(&self) -> Vec<(String, u64)> {
        match self {
            Self::Xdp(_) => Vec::new(),
            #[cfg(feature = "dpdk")]
            Self::Dpdk(wires) => wires.extended(),
        }
    }
}
