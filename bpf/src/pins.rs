//! The pin directory and the lock that guards it. A bpffs holds neither locks nor sockets, so the lock is a file
//! of its own.

use crate::error::GateError;
use crate::layout::VERSION;
use crate::sys;
use rustix::fs::{FlockOperation, flock, statfs};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// `BPF_FS_MAGIC` (linux/magic.h).
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;

/// The lock: held while it lives, and by nobody once the process is gone.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone is not enough: a child between fork and exec has a copy of the descriptor. There is nobody
        // to tell of an error, and the end of the process unlocks anyway.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

impl Lock {
    /// The process that holds the lock of the gate called `name`; `None` where nobody does.
    pub(crate) fn holder(dir: &Path, name: &str) -> Option<u32> {
        match Self::take(dir, name) {
            Err(GateError::Locked { holder, .. }) => holder.strip_prefix("process ")?.parse().ok(),
            _ => None,
        }
    }

    /// Takes the lock of the gate called `name`.
    pub(crate) fn take(dir: &Path, name: &str) -> Result<Self, GateError> {
        let path = dir.join(format!("{name}.lock"));
        let broken = |source| GateError::Lock { path: path.clone(), source };
        fs::create_dir_all(dir).map_err(broken)?;
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(broken)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                // Only to name the holder: without it the error still says enough.
                let known = file.read_to_string(&mut holder).is_ok_and(|length| length > 0);
                let holder = if known { holder.trim().to_owned() } else { "process unknown".to_owned() };
                return Err(GateError::Locked { name: name.to_owned(), holder, path });
            }
            Err(error) => return Err(broken(error.into())),
        }
        let write = |file: &mut File| -> io::Result<()> {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "process {}", std::process::id())
        };
        write(&mut file).map_err(broken)?;
        Ok(Self { file })
    }
}

/// Where one gate's objects of this version are pinned.
#[derive(Debug)]
pub(crate) struct Pins {
    dir: PathBuf,
}

impl Pins {
    /// The place for the gate called `name` under `root`, made if it is not there; what another version left is
    /// removed. Call it under the lock only.
    pub(crate) fn open(root: &Path, name: &str) -> Result<Self, GateError> {
        let existing = root.ancestors().find(|path| path.exists()).unwrap_or_else(|| Path::new("/"));
        let magic = statfs(existing).map(|stat| u64::try_from(stat.f_type).unwrap_or(0));
        if magic != Ok(BPF_FS_MAGIC) {
            return Err(GateError::NoBpffs { path: root.to_owned() });
        }
        let home = root.join(name);
        let dir = home.join(format!("v{VERSION}"));
        let failed = |source| GateError::Pin { path: dir.clone(), source };
        fs::create_dir_all(&dir).map_err(failed)?;
        for entry in fs::read_dir(&home).map_err(failed)? {
            let other = entry.map_err(failed)?.path();
            if other != dir {
                remove(&other).map_err(failed)?;
            }
        }
        Ok(Self { dir })
    }

    /// The path of an object. bpffs refuses dots in names, so there are none.
    pub(crate) fn path(&self, object: &str) -> PathBuf {
        self.dir.join(object)
    }

    /// The pinned links: the interface's index in the name, and the path.
    pub(crate) fn links(&self) -> Result<Vec<(u32, PathBuf)>, GateError> {
        let failed = |source| GateError::Pin { path: self.dir.clone(), source };
        let mut links = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Some(Ok(ifindex)) = name.strip_prefix(LINK_PREFIX).map(str::parse) {
                links.push((ifindex, path));
            }
        }
        links.sort_unstable();
        Ok(links)
    }

    /// The path of the link of an interface.
    pub(crate) fn link(&self, ifindex: u32) -> PathBuf {
        self.path(&format!("{LINK_PREFIX}{ifindex}"))
    }

    /// Removes every pin and takes the links off; the directory stays.
    pub(crate) fn clear(&self) -> Result<(), GateError> {
        let failed = |source| GateError::Pin { path: self.dir.clone(), source };
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            remove(&entry.map_err(failed)?.path()).map_err(failed)?;
        }
        Ok(())
    }

    /// Removes everything, the directories included.
    pub(crate) fn remove(&self) -> Result<(), GateError> {
        self.clear()?;
        let failed = |source| GateError::Pin { path: self.dir.clone(), source };
        fs::remove_dir(&self.dir).map_err(failed)?;
        // The gate's home goes, too; the root stays, others may be about to use it.
        self.dir.parent().map_or(Ok(()), fs::remove_dir).map_err(failed)
    }
}

const LINK_PREFIX: &str = "link-";

/// Removes a pin or a directory of pins. A link is taken off its interface first: the kernel would do that some time
/// after its last pin is gone, and until then nothing else could be attached there.
fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            remove(&entry?.path())?;
        }
        return fs::remove_dir(path);
    }
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if name.starts_with(LINK_PREFIX)
        && let Ok(link) = sys::pinned(path)
    {
        // What cannot be taken off (its interface is gone) is off.
        let _ = sys::link_detach(link.as_fd());
    }
    fs::remove_file(path)
}
