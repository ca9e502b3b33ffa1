//! Core dumps for as long as something is measured: the kernel's setting is the whole machine's, so it is put back.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::say;

/// core(5)
const PATTERN: &str = "/proc/sys/kernel/core_pattern";

/// Takes a dump as slowly as a crash reporter on a busy machine.
const READER: &str = "#!/bin/sh\nsleep 3\nexec cat > /dev/null\n";

/// Where dumps go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Cores {
    /// Into a file, as large as the gate's memory.
    File,
    /// Through a pipe to a program that begins to read three seconds later.
    Pipe,
}

impl Cores {
    /// As the command line has it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Pipe => "pipe",
        }
    }
}

/// While it lives, programs that this one starts dump their memory when they crash.
#[derive(Debug)]
pub(crate) struct Dumping {
    before: String,
}

impl Dumping {
    /// Has dumps go into `folder`, or to a program in it.
    pub(crate) fn start(cores: Cores, folder: &Path) -> Result<Self> {
        let before = fs::read_to_string(PATTERN).with_context(|| format!("cannot read {PATTERN}"))?;
        let pattern = match cores {
            Cores::File => folder.join("core.%p").display().to_string(),
            Cores::Pipe => {
                let reader = folder.join("reader");
                fs::write(&reader, READER).context("cannot write the program that takes dumps")?;
                fs::set_permissions(&reader, fs::Permissions::from_mode(0o755))?;
                format!("|{}", reader.display())
            }
        };
        let any = Rlimit { current: None, maximum: None };
        setrlimit(Resource::Core, any).context("core dumps are not permitted")?;
        let this = Self { before };
        fs::write(PATTERN, pattern).with_context(|| format!("cannot write {PATTERN}"))?;
        Ok(this)
    }
}

impl Drop for Dumping {
    fn drop(&mut self) {
        if let Err(error) = fs::write(PATTERN, self.before.trim_end()) {
            say::line(&format!("{PATTERN} is not what it was, {:?}: {error}", self.before));
        }
    }
}
