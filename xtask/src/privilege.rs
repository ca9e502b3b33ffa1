//! Becoming root for what needs it, and only for that.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use portcullis_testkit::is_root;

use crate::program::is_installed;

/// Goes on as root: returns where the process is root already, else replaces it by itself under
/// sudo with `arguments`. What was built before stays the user's own.
pub(crate) fn become_root<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Result<()> {
    if is_root() {
        return Ok(());
    }
    require_sudo()?;
    let program = env::current_exe().context("cannot find out where this program is")?;
    let error = Command::new("sudo").arg("-E").arg(program).args(arguments).exec();
    Err(error).context("cannot start sudo")
}

/// Fails, with a sentence, for a user who is not root and has no sudo.
pub(crate) fn require_sudo() -> Result<()> {
    if !is_root() && !is_installed("sudo") {
        bail!("this needs root, and sudo is not installed: run it as root");
    }
    Ok(())
}

/// Gives `folder` and the files in it to the user who called sudo, whose build folder it is in.
pub(crate) fn give_back(folder: &Path) -> Result<()> {
    let id = |name: &str| env::var(name).ok().and_then(|text| text.parse().ok());
    let (Some(user), Some(group)) = (id("SUDO_UID"), id("SUDO_GID")) else { return Ok(()) };
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for path in entries.flatten().map(|entry| entry.path()).chain([folder.to_owned()]) {
        chown(&path, Some(user), Some(group))
            .with_context(|| format!("cannot give {} to user {user}", path.display()))?;
    }
    Ok(())
}
