//! The system calls that a gate may make once it has its queues: what judging, logging, commands and reading rules anew
//! take, and nothing that starts a program, looks into another process, opens a way onto a network, or changes what this
//! process may. What comes of another one is the operator's to say; unless he says otherwise it is the end of the process.

use crate::config::{SecurityConfig, SyscallAction, SyscallGroup};
use crate::exit::Failure;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use std::collections::BTreeMap;

/// What may be called with any arguments.
const ANY: &[libc::c_long] = &[
    // Memory.
    libc::SYS_brk,
    libc::SYS_get_mempolicy,
    libc::SYS_madvise,
    libc::SYS_mbind,
    libc::SYS_mincore,
    libc::SYS_mlock,
    libc::SYS_mlock2,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munlock,
    libc::SYS_munmap,
    // Files that are open, and those of rules and lists.
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_copy_file_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fadvise64,
    libc::SYS_fallocate,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fcntl,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_linkat,
    libc::SYS_lseek,
    libc::SYS_mkdirat,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_pipe2,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_renameat2,
    libc::SYS_splice,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_unlinkat,
    libc::SYS_utimensat,
    libc::SYS_write,
    libc::SYS_writev,
    // Sockets that are open: queues, the control socket, the warden.
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_connect,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_recvfrom,
    libc::SYS_recvmmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    // Waiting.
    libc::SYS_clock_nanosleep,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_futex,
    libc::SYS_nanosleep,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_restart_syscall,
    libc::SYS_sched_yield,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    // Time, chance, and what this process is.
    libc::SYS_capget,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_getcpu,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getgroups,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrandom,
    libc::SYS_getresgid,
    libc::SYS_getresuid,
    libc::SYS_getrusage,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_sysinfo,
    libc::SYS_times,
    libc::SYS_uname,
    // Threads. What `clone3` is to do cannot be seen: it is as if the kernel did not have it (`without_clone3`).
    libc::SYS_clone3,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_get_robust_list,
    libc::SYS_membarrier,
    libc::SYS_rseq,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_setaffinity,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    // Signals, of its own.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
];

/// What older machines have besides for the same.
#[cfg(target_arch = "x86_64")]
const OLD: &[libc::c_long] = &[
    libc::SYS_access,
    libc::SYS_dup2,
    libc::SYS_epoll_wait,
    libc::SYS_link,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_open,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_rmdir,
    libc::SYS_stat,
    libc::SYS_time,
    libc::SYS_unlink,
];

#[cfg(not(target_arch = "x86_64"))]
const OLD: &[libc::c_long] = &[];

/// What starts programs and processes, besides `clone` and `clone3`.
#[cfg(target_arch = "x86_64")]
const STARTING: &[libc::c_long] = &[libc::SYS_execve, libc::SYS_execveat, libc::SYS_fork, libc::SYS_vfork];

#[cfg(not(target_arch = "x86_64"))]
const STARTING: &[libc::c_long] = &[libc::SYS_execve, libc::SYS_execveat];

/// What else programs that were started do first, and what is done with them.
#[cfg(target_arch = "x86_64")]
const STARTED: &[libc::c_long] = &[libc::SYS_arch_prctl, libc::SYS_wait4, libc::SYS_waitid];

#[cfg(not(target_arch = "x86_64"))]
const STARTED: &[libc::c_long] = &[libc::SYS_wait4, libc::SYS_waitid];

/// Of `bpf`, entries of maps that are open: look up, update, delete, next, take, and the same in batches, and what a
/// descriptor is of (linux/bpf.h).
const MAP_COMMANDS: [u64; 10] = [1, 2, 3, 4, 15, 21, 24, 25, 26, 27];

/// Of `prctl`, what a thread or a mapping is called, and what asks only (linux/prctl.h).
const PRCTL: [u64; 9] = [
    libc::PR_GET_DUMPABLE.cast_unsigned() as u64,
    libc::PR_SET_NAME.cast_unsigned() as u64,
    libc::PR_GET_NAME.cast_unsigned() as u64,
    libc::PR_GET_SECCOMP.cast_unsigned() as u64,
    libc::PR_CAPBSET_READ.cast_unsigned() as u64,
    libc::PR_SET_TIMERSLACK.cast_unsigned() as u64,
    libc::PR_GET_NO_NEW_PRIVS.cast_unsigned() as u64,
    libc::PR_SET_THP_DISABLE.cast_unsigned() as u64,
    libc::PR_SET_VMA.cast_unsigned() as u64,
];

/// Of `ioctl`, what types into a terminal or changes how one works (asm-generic/ioctls.h): TIOCSTI, TIOCLINUX, TIOCSETD.
const TERMINAL: [u64; 3] = [0x5412, 0x541c, 0x5423];

/// Filters that are ready to be put in force by any thread of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Syscalls(Vec<BpfProgram>);

impl Syscalls {
    /// Makes them for this machine; none where none are wanted.
    ///
    /// # Errors
    /// It is of a kind that there is no filter for.
    pub(crate) fn of_a_gate(config: &SecurityConfig) -> Result<Self, Failure> {
        let programs = programs(config).map_err(|error| failure(&error))?;
        Ok(Self(programs))
    }

    /// Puts them in force for this thread and those that it starts, for good.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn restrict(&self) -> Result<(), Failure> {
        self.0
            .iter()
            .try_for_each(|program| seccompiler::apply_filter(program).map_err(|error| failure(&error)))
    }
}

/// Whichever of several filters is strictest counts.
fn programs(config: &SecurityConfig) -> Result<Vec<BpfProgram>, BackendError> {
    let refused = match config.seccomp.action {
        SyscallAction::Kill => SeccompAction::KillProcess,
        SyscallAction::Errno => SeccompAction::Errno(libc::EPERM.cast_unsigned()),
        SyscallAction::Log => SeccompAction::Log,
    };
    let mut programs = Vec::new();
    if config.limit_noproc {
        programs.push(program(starting()?, SeccompAction::Allow, refused.clone())?);
    }
    if config.limit_noproc || config.seccomp.enabled {
        let missing = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
        programs.push(program(without_clone3(), SeccompAction::Allow, missing)?);
    }
    if config.seccomp.enabled {
        programs.push(program(allowed(&config.seccomp.allow)?, refused, SeccompAction::Allow)?);
    }
    Ok(programs)
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn program(rules: Rules, others: SeccompAction, these: SeccompAction) -> Result<BpfProgram, BackendError> {
    let machine: TargetArch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, others, these, machine)?.try_into()
}

fn allowed(groups: &[SyscallGroup]) -> Result<Rules, BackendError> {
    let any = ANY.iter().chain(OLD).chain(STARTING).chain(STARTED);
    let mut rules: Rules = any.map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_clone, Vec::new());
    rules.insert(libc::SYS_bpf, one_of(0, &MAP_COMMANDS)?);
    rules.insert(libc::SYS_prctl, one_of(0, &PRCTL)?);
    rules.insert(libc::SYS_prlimit64, one_of(0, &[0])?);
    rules.insert(libc::SYS_tgkill, one_of(0, &[u64::from(std::process::id())])?);
    let not = |request: &u64| condition(1, SeccompCmpOp::Ne, *request);
    let harmless = TERMINAL.iter().map(not).collect::<Result<Vec<_>, _>>()?;
    rules.insert(libc::SYS_ioctl, vec![SeccompRule::new(harmless)?]);
    let network = groups.contains(&SyscallGroup::Network);
    let sockets = if network { Vec::new() } else { one_of(0, &[libc::AF_UNIX.cast_unsigned() as u64])? };
    for call in [libc::SYS_socket, libc::SYS_socketpair] {
        rules.insert(call, sockets.clone());
    }
    if network {
        rules.extend([libc::SYS_bind, libc::SYS_listen].map(|call| (call, Vec::new())));
    }
    Ok(rules)
}

/// What starts programs and processes: a thread is none.
fn starting() -> Result<Rules, BackendError> {
    let mut rules: Rules = STARTING.iter().map(|call| (*call, Vec::new())).collect();
    let thread = SeccompCmpOp::MaskedEq(libc::CLONE_THREAD.cast_unsigned() as u64);
    rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![condition(0, thread, 0)?])?]);
    Ok(rules)
}

/// C libraries use `clone` instead, whose flags can be looked at.
fn without_clone3() -> Rules {
    Rules::from([(libc::SYS_clone3, Vec::new())])
}

fn one_of(argument: u8, values: &[u64]) -> Result<Vec<SeccompRule>, BackendError> {
    let rule = |value: &u64| SeccompRule::new(vec![condition(argument, SeccompCmpOp::Eq, *value)?]);
    values.iter().map(rule).collect()
}

/// Arguments of these calls have 32 bits.
fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}

fn failure(reason: &dyn std::fmt::Display) -> Failure {
    let reason = format!("system calls cannot be restricted: {reason}; see security.seccomp");
    Failure::Runtime(reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SeccompConfig;
    use crate::config::{Inline, Sources, parse};
    use std::net::UdpSocket;
    use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
    use std::process::{Command, ExitStatus};

    /// What a part of the tests does in a process of its own.
    const ATTEMPT: &str = "PORTCULLIS_TEST_SYSCALLS";

    fn config(action: SyscallAction, allow: &[SyscallGroup]) -> SecurityConfig {
        let config = parse(Sources::default(), Inline::No).unwrap().config.security;
        SecurityConfig {
            seccomp: SeccompConfig { action, allow: allow.to_vec(), ..config.seccomp },
            ..config
        }
    }

    /// Does what is to be refused, or allowed, after what every gate does; 0 where it is done.
    fn attempt(what: &str) -> i32 {
        let (what, how) = what.split_once(' ').unwrap();
        let mut config = match how {
            "errno" => config(SyscallAction::Errno, &[]),
            "log" => config(SyscallAction::Log, &[]),
            "network" => config(SyscallAction::Kill, &[SyscallGroup::Network]),
            _ => config(SyscallAction::Kill, &[]),
        };
        config.seccomp.enabled = how != "noproc";
        config.limit_noproc = how != "processes";
        Syscalls::of_a_gate(&config).unwrap().restrict().unwrap();
        std::fs::read("/proc/self/stat").unwrap();
        std::thread::spawn(|| ()).join().unwrap();
        let done = match what {
            "exec" => Err(Command::new("true").exec()),
            "spawn" => Command::new("true").status().map(drop),
            "udp" => UdpSocket::bind("127.0.0.1:0").map(drop),
            "threads" => Ok(()),
            other => panic!("{other}"),
        };
        done.map_or_else(|error| error.raw_os_error().unwrap_or(-1), |()| 0)
    }

    fn attempted(what: &str) -> ExitStatus {
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", "run::syscalls::tests::a_gate_does_what_it_has_to_and_no_more"]);
        again.env(ATTEMPT, what).output().unwrap().status
    }

    /// Runs itself in processes of their own, for some die.
    #[test]
    fn a_gate_does_what_it_has_to_and_no_more() {
        if let Ok(what) = std::env::var(ATTEMPT) {
            std::process::exit(attempt(&what));
        }
        let ends = |what, code| assert_eq!(attempted(what).code(), Some(code), "{what}");
        for what in ["exec kill", "spawn kill", "udp kill", "exec noproc", "udp processes", "exec network"] {
            assert_eq!(attempted(what).signal(), Some(libc::SIGSYS), "{what}");
        }
        ends("threads kill", 0);
        for what in ["exec errno", "udp errno"] {
            ends(what, libc::EPERM);
        }
        for what in ["exec processes", "spawn processes", "udp network", "udp noproc", "udp log", "spawn log"]
        {
            ends(what, 0);
        }
    }

    #[test]
    fn nothing_is_in_force_where_nothing_is_wanted() {
        let wanted = config(SyscallAction::Kill, &[]);
        let without = SeccompConfig { enabled: false, ..wanted.seccomp.clone() };
        let none = SecurityConfig { limit_noproc: false, seccomp: without, ..wanted };
        assert_eq!(Syscalls::of_a_gate(&none).unwrap(), Syscalls(Vec::new()));
    }
}
