//! All that the gate gives up once it has its queues: privileges, the files that are no business of it, the system calls
//! that it has no use for. The first goes first, for the others need none.

use super::folders::Folders;
use super::privileges::Identity;
use super::syscalls::Syscalls;
use crate::config::Config;
use crate::exit::Failure;
use std::path::Path;

/// What is given up, ready for every thread that is to give it up.
#[derive(Debug)]
pub(crate) struct Confinement {
    identity: Identity,
    folders: Option<Folders>,
    syscalls: Syscalls,
}

impl Confinement {
    /// As the configuration wants it, which was read from `file`.
    ///
    /// # Errors
    /// There is no such user or group, or the kernel refuses.
    pub(crate) fn new(config: &Config, file: &Path) -> Result<Self, Failure> {
        let wanted = &config.security;
        let folders = wanted.landlock.enabled.then(|| Folders::of_a_gate(config, file)).transpose()?;
        Ok(Self {
            identity: Identity::find(&config.run_as)?,
            folders,
            syscalls: Syscalls::of_a_gate(wanted)?,
        })
    }

    /// Gives it all up for this thread and those that it starts, for good. Says whether that was all: a kernel may have no
    /// Landlock.
    ///
    /// # Errors
    /// Something could not be given up.
    pub(crate) fn assume(&self) -> Result<bool, Failure> {
        self.identity.assume()?;
        let is_all = self.folders.as_ref().map_or(Ok(true), Folders::restrict)?;
        self.syscalls.restrict()?;
        Ok(is_all)
    }

    /// Does something on a thread that has given all up, so that the threads it starts have, too.
    ///
    /// # Errors
    /// Something could not be given up, or that of `act`.
    pub(crate) fn within<T: Send>(
        &self,
        act: impl FnOnce() -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().spawn_scoped(scope, move || {
                self.assume()?;
                act()
            });
            let thread =
                thread.map_err(|error| Failure::Runtime(format!("cannot start a thread: {error}")))?;
            thread.join().unwrap_or_else(|_| std::process::abort())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Inline, Sources, parse};
    use rustix::thread::capabilities;

    #[test]
    fn a_thread_without_privileges_starts_threads_without_privileges() {
        portcullis_testkit::require_root();
        let overrides = vec!["run-as.user=nobody".to_owned()];
        let config = parse(Sources { overrides, ..Sources::default() }, Inline::No).unwrap().config;
        let confinement = Confinement::new(&config, Path::new("gate.toml")).unwrap();
        let here = capabilities(None).unwrap();
        let there = confinement.within(|| {
            let inner = std::thread::spawn(|| {
                let shadow = std::fs::read("/etc/shadow").map_err(|error| error.kind());
                (capabilities(None).unwrap(), rustix::process::geteuid(), shadow)
            });
            Ok(inner.join().unwrap())
        });
        let (there, user, shadow) = there.unwrap();
        assert!(there.permitted.is_empty() && there.effective.is_empty() && !here.permitted.is_empty());
        assert!(!user.is_root());
        assert_eq!(shadow, Err(std::io::ErrorKind::PermissionDenied));
        assert!(rustix::process::geteuid().is_root(), "this thread stays who it was");
        assert_eq!(capabilities(None).unwrap(), here);
    }
}
