//! Where the demo happens: the lab and a folder for what it needs in passing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use portcullis_testkit::{Lab, LabOptions, NetNs};
use tempfile::TempDir;

use crate::{lab, say};

/// Three hosts and a folder. They vanish with this value unless it was told to [`leave`](Self::leave)
/// them.
#[derive(Debug)]
pub(crate) struct Place {
    lab: Lab,
    kind: Kind,
}

/// What becomes of the place.
#[derive(Debug)]
enum Kind {
    /// The hosts have no names: they vanish with the process, the folder with this value.
    Passing(TempDir),
    /// Made to stay, but not there yet: removed with this value.
    Lasting,
    /// Stays until `cargo xtask lab down`.
    Left,
}

impl Place {
    /// Makes it; when `keep`, in the form that stays until `cargo xtask lab down`.
    pub(crate) fn make(keep: bool) -> Result<Self> {
        if keep {
            let place = Self { lab: lab::create(LabOptions::default())?, kind: Kind::Lasting };
            fs::create_dir_all(lab::FOLDER).with_context(|| format!("cannot make {}", lab::FOLDER))?;
            return Ok(place);
        }
        let lab = Lab::inline().context("cannot make the lab")?;
        let folder = tempfile::Builder::new().prefix("portcullis-demo-").tempdir();
        Ok(Self { lab, kind: Kind::Passing(folder.context("cannot make a temporary folder")?) })
    }

    /// The hosts.
    pub(crate) fn lab(&self) -> &Lab {
        &self.lab
    }

    /// A path for something that is needed in passing.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        match &self.kind {
            Kind::Passing(folder) => folder.path().join(name),
            Kind::Lasting | Kind::Left => Path::new(lab::FOLDER).join(name),
        }
    }

    /// A command for a program on `host` that is to run as long as the lab is there: it dies with
    /// this process unless the lab stays.
    pub(crate) fn lasting(&self, host: &NetNs, program: &Path) -> Command {
        if matches!(self.kind, Kind::Passing(_)) {
            return host.command(&program.to_string_lossy());
        }
        // Entered by a program of its own, because a command of the testkit dies with its parent.
        // Not `ip netns exec`: that hides the BPF file system.
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", host.label())).arg(program);
        command
    }

    /// Leaves it where it is, if it was made to stay.
    pub(crate) fn leave(mut self) {
        if matches!(self.kind, Kind::Lasting) {
            self.kind = Kind::Left;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if matches!(self.kind, Kind::Lasting)
            && let Err(error) = lab::remove()
        {
            say::error(&error);
        }
    }
}
