//! Where the demo happens: the lab and a folder for what it needs in passing.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, mem};

use anyhow::{Context, Result};
use portcullis_testkit::{Lab, LabOptions, NetNs};
use tempfile::TempDir;

use crate::lab;

/// Three hosts and a folder. What is not to stay vanishes with this value or with the process.
#[derive(Debug)]
pub(crate) struct Place {
    lab: Lab,
    folder: PathBuf,
    temporary: Option<TempDir>,
}

impl Place {
    /// Makes it; when `keep`, in the form that stays until `cargo xtask lab down`.
    pub(crate) fn make(keep: bool) -> Result<Self> {
        if keep {
            let lab = lab::create(LabOptions::default())?;
            let folder = PathBuf::from(lab::FOLDER);
            fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
            return Ok(Self { lab, folder, temporary: None });
        }
        let lab = Lab::inline().context("cannot make the lab")?;
        let temporary = tempfile::tempdir().context("cannot make a temporary folder")?;
        Ok(Self { lab, folder: temporary.path().to_owned(), temporary: Some(temporary) })
    }

    /// The hosts.
    pub(crate) fn lab(&self) -> &Lab {
        &self.lab
    }

    /// A path for something that is needed in passing.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A command for a program on `host` that is to run as long as the lab is there: it dies with
    /// this process unless the lab stays.
    pub(crate) fn lasting(&self, host: &NetNs, program: &Path) -> Command {
        if self.temporary.is_some() {
            return host.command(&program.to_string_lossy());
        }
        // Entered by a program of its own, because a command of the testkit dies with its parent.
        // Not `ip netns exec`: that hides the BPF file system.
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", host.label())).arg(program);
        command
    }

    /// Removes it, and says when that fails.
    pub(crate) fn remove(self) -> Result<()> {
        self.temporary.map_or(Ok(()), TempDir::close).context("cannot remove the temporary folder")
    }

    /// Leaves it where it is.
    pub(crate) fn leave(self) {
        if let Some(temporary) = self.temporary {
            mem::drop(temporary.keep());
        }
    }
}
