//! Other programs: started, watched, and stopped when the user has had enough.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// How often something waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The wish of the user to stop (Ctrl-C), asked for wherever something takes time. What is set up
/// then goes away by being dropped.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Begins to listen; from now on the signals no longer kill.
    pub(crate) fn listen() -> Result<Self> {
        let wanted = Arc::new(AtomicBool::new(false));
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            flag::register(signal, Arc::clone(&wanted)).context("cannot listen for signals")?;
        }
        Ok(Self(wanted))
    }

    /// One that nobody can wish for.
    #[cfg(test)]
    pub(crate) fn never() -> Self {
        Self(Arc::default())
    }

    /// An error when the user wants to stop.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(!self.0.load(Ordering::Relaxed), "interrupted");
        Ok(())
    }

    /// Waits until `is_so` gives something, for `limit` at most; `what` finishes the sentence
    /// "waited in vain for".
    pub(crate) fn wait_for<T>(
        &self,
        what: &str,
        limit: Duration,
        mut is_so: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let deadline = Instant::now() + limit;
        loop {
            self.check()?;
            if let Some(found) = is_so()? {
                return Ok(found);
            }
            ensure!(Instant::now() < deadline, "waited {} seconds in vain for {what}", limit.as_secs());
            sleep(LOOK_EVERY);
        }
    }

    /// Waits `time`, less when the user wants to stop.
    pub(crate) fn pause(&self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.check()?;
            sleep(LOOK_EVERY.min(time));
        }
        Ok(())
    }
}

/// What a program that has ended left.
#[derive(Debug)]
pub(crate) struct Finished {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// What it wrote to standard output and standard error.
    pub(crate) text: String,
}

/// A program that runs; killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    name: String,
    text: File,
}

impl Running {
    /// Starts `command`, called `name` in messages, with what it writes kept in `log`.
    ///
    /// It gets a process group of its own: Ctrl-C reaches it through us, when its turn has come.
    pub(crate) fn start_logged(command: &mut Command, name: &str, log: &Path) -> Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(log);
        Self::start_into(command, name, file.with_context(|| format!("cannot write {}", log.display()))?)
    }

    /// Starts `command`, called `name` in messages.
    pub(crate) fn start(command: &mut Command, name: &str) -> Result<Self> {
        Self::start_into(command, name, tempfile::tempfile().context("cannot make a temporary file")?)
    }

    fn start_into(command: &mut Command, name: &str, text: File) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(text.try_clone()?).stderr(text.try_clone()?).process_group(0);
        let child = command.spawn().with_context(|| {
            format!("cannot start {} (`cargo xtask setup` installs what is missing)", name)
        })?;
        Ok(Self { child, name: name.to_owned(), text })
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far.
    pub(crate) fn text(&self) -> Result<String> {
        // The program writes through the same open file, so its place must not be moved while it
        // runs: a copy of the path through /proc has a place of its own.
        let mut text = Vec::new();
        let path = format!("/proc/self/fd/{}", self.text.as_raw_fd());
        File::open(path)?.read_to_end(&mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Its end, if it has ended.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("cannot wait for {}", self.name))
    }

    /// Waits for its end for `limit` at most.
    pub(crate) fn finish(mut self, limit: Duration, interrupt: &Interrupt) -> Result<Finished> {
        let name = format!("{} to end", self.name);
        let status = interrupt.wait_for(&name, limit, || self.ended())?;
        Ok(Finished { status, text: self.text()? })
    }

    /// Asks it by `signal` to end and waits for `limit` at most.
    pub(crate) fn stop(mut self, signal: Signal, limit: Duration) -> Result<Finished> {
        let deadline = Instant::now() + limit;
        let mut told = false;
        let status = loop {
            if let Some(status) = self.ended()? {
                break status;
            }
            if !told {
                self.signal(signal)?;
                told = true;
            }
            if Instant::now() >= deadline {
                bail!("{} did not end within {} seconds of being told to", self.name, limit.as_secs());
            }
            sleep(LOOK_EVERY);
        };
        Ok(Finished { status, text: self.text()? })
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.with_context(|| format!("{} has no process id", self.name))?;
        kill_process(pid, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Lets it run on after us.
    pub(crate) fn leave(self) {
        // Without running the destructor, which would kill it.
        std::mem::forget(self);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Politely first: a daemon has things to put back. Errors mean that it has ended already.
        if matches!(self.child.try_wait(), Ok(None)) && self.signal(Signal::TERM).is_ok() {
            let deadline = Instant::now() + Duration::from_secs(5);
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
                sleep(LOOK_EVERY);
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `command` to its end; any end is a result.
pub(crate) fn run(
    command: &mut Command,
    name: &str,
    limit: Duration,
    interrupt: &Interrupt,
) -> Result<Finished> {
    Running::start(command, name)?.finish(limit, interrupt)
}

/// Runs `command` to its end; only success is one. Gives what it wrote.
pub(crate) fn run_well(
    command: &mut Command,
    name: &str,
    limit: Duration,
    interrupt: &Interrupt,
) -> Result<String> {
    let finished = run(command, name, limit, interrupt)?;
    ensure!(finished.status.success(), "{name} failed ({}): {}", finished.status, finished.text.trim());
    Ok(finished.text)
}

/// Whether a program of this name is to be found where programs are (also where only root's are).
pub(crate) fn is_installed(program: &str) -> bool {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&search).chain(["/usr/sbin", "/sbin"].map(Into::into));
    folders.into_iter().any(|folder| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interrupt() -> Interrupt {
        Interrupt::never()
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    const LIMIT: Duration = Duration::from_secs(60);

    #[test]
    fn what_a_program_writes_and_how_it_ends_is_kept() {
        let finished = run(&mut shell("echo out; echo err >&2; exit 3"), "sh", LIMIT, &interrupt()).unwrap();
        assert_eq!(finished.status.code(), Some(3));
        assert_eq!(finished.text, "out\nerr\n");
        let error = run_well(&mut shell("echo no luck; exit 1"), "sh", LIMIT, &interrupt()).unwrap_err();
        assert!(error.to_string().contains("no luck"), "{error}");
    }

    #[test]
    fn the_text_can_be_read_while_it_grows() {
        let mut running = Running::start(&mut shell("echo one; read x; echo two"), "sh").unwrap();
        let seen = interrupt().wait_for("a line", LIMIT, || {
            let text = running.text()?;
            Ok(text.contains("one").then_some(text))
        });
        assert!(seen.unwrap().starts_with("one\n"));
        interrupt().wait_for("its end", LIMIT, || running.ended()).unwrap();
        assert_eq!(running.text().unwrap(), "one\ntwo\n");
    }

    #[test]
    fn a_limit_is_kept_and_the_program_killed() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let script = format!("echo $$ > {}; exec sleep 1000", pid.display());
        let mut command = shell(&script);
        let running = Running::start(&mut command, "sh").unwrap();
        let pid = interrupt().wait_for("the pid", LIMIT, || {
            Ok(std::fs::read_to_string(&pid).ok().filter(|text| text.ends_with('\n')))
        });
        let error = running.finish(Duration::ZERO, &interrupt()).unwrap_err();
        assert!(error.to_string().contains("in vain for sh to end"), "{error}");
        assert!(!Path::new(&format!("/proc/{}", pid.unwrap().trim())).exists());
    }

    #[test]
    fn an_interrupt_ends_every_wait() {
        let wanted = Interrupt(Arc::new(AtomicBool::new(true)));
        let error = run(&mut shell("sleep 1000"), "sh", LIMIT, &wanted).unwrap_err();
        assert_eq!(error.to_string(), "interrupted");
        assert!(wanted.pause(LIMIT).is_err());
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Running::start(&mut Command::new("no-such-program"), "the thing").unwrap_err();
        assert!(error.to_string().starts_with("cannot start the thing"), "{error}");
        assert!(is_installed("sh") && !is_installed("no-such-program"));
    }
}
