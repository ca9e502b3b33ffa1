//! What the kernel has to confine the process with that judges: filters of system calls, Landlock.

use super::finding::Finding;
use super::source::read;
use crate::run::landlock;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// A filter of system calls.
    pub(crate) seccomp: bool,
    /// Only some folders.
    pub(crate) landlock: bool,
}

/// What the kernel has.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// What filters can answer, as the kernel lists it.
    actions: String,
    /// Landlock's version, or why there is none.
    landlock: Result<i32, &'static str>,
}

impl Facts {
    /// Asks the kernel.
    pub(crate) fn gather() -> Self {
        Self { actions: read("/proc/sys/kernel/seccomp/actions_avail"), landlock: landlock() }
    }

    /// What is to be said about it.
    pub(crate) fn check(&self, asked: Asked) -> [Finding; 2] {
        [self.seccomp(asked.seccomp), self.folders(asked.landlock)]
    }

    fn seccomp(&self, asked: bool) -> Finding {
        let has = self.actions.split_whitespace().any(|action| action == "kill_process");
        match (has, asked) {
            (true, true) => Finding::ok("seccomp", "the gate's system calls are filtered"),
            (true, false) => Finding::warning("seccomp", "the gate's system calls are not filtered, though they could be")
                .advise("security.seccomp.enabled = true"),
            (false, true) => Finding::fault("seccomp", "the kernel has no filters of system calls: `run` does not start")
                .advise("a kernel with CONFIG_SECCOMP_FILTER=y, or security: limit-noproc = false and seccomp.enabled = false"),
            (false, false) => Finding::ok("seccomp", "the kernel has no filters of system calls, and none is asked for"),
        }
    }

    fn folders(&self, asked: bool) -> Finding {
        match (&self.landlock, asked) {
            (Ok(version), true) => {
                let text = format!(
                    "version {version}: the gate sees the folders of its configuration, rules and lists only"
                );
                Finding::ok("landlock", text)
            }
            (Ok(_), false) => {
                Finding::warning("landlock", "the gate can read what its user can, though it need not")
                    .advise("security.landlock.enabled = true")
            }
            (Err(reason), true) => {
                Finding::warning("landlock", format!("{reason}: the gate can read what its user can"))
                    .advise("CONFIG_SECURITY_LANDLOCK=y, and landlock among those that lsm= names at boot")
            }
            (Err(reason), false) => Finding::ok("landlock", format!("{reason}, and it is not asked for")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn what_the_kernel_lacks_is_said_where_it_is_asked_for() {
        let has = Facts { actions: "kill_process kill_thread errno allow".to_owned(), landlock: Ok(5) };
        let lacks = Facts { actions: String::new(), landlock: Err("the kernel has no Landlock") };
        let check = |facts: &Facts, asked, expected| {
            let found = facts.check(Asked { seccomp: asked, landlock: asked }).map(|finding| finding.level);
            assert_eq!(found, expected, "{facts:?} {asked}");
        };
        check(&has, true, [Level::Ok, Level::Ok]);
        check(&has, false, [Level::Warning, Level::Warning]);
        check(&lacks, true, [Level::Fault, Level::Warning]);
        check(&lacks, false, [Level::Ok, Level::Ok]);
    }
}
