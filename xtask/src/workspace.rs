//! Where things are.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The folder of the workspace, from the place of this crate.
pub(crate) fn root() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask stands in a workspace")?;
    Ok(folder.to_owned())
}

/// The folder that cargo builds into: this program was built there.
pub(crate) fn target() -> Result<PathBuf> {
    let program = env::current_exe().context("cannot find out where this program is")?;
    let target = program.parent().and_then(Path::parent).context("this program was not built by cargo")?;
    Ok(target.to_owned())
}

/// The kind of machine that this is, as rustc calls it.
pub(crate) fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("cannot start rustc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc names no host")
}

/// `cargo`, at the root of the workspace.
pub(crate) fn cargo() -> Result<Command> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()?);
    Ok(cargo)
}

/// Builds the binary of `package` and says where it is.
pub(crate) fn build(package: &str, binary: &str, release: bool) -> Result<PathBuf> {
    build_with(package, binary, &[], release)
}

/// The same with more arguments for cargo. The next build may overwrite it.
pub(crate) fn build_with(package: &str, binary: &str, more: &[&str], release: bool) -> Result<PathBuf> {
    let mut command = cargo()?;
    command.args(["build", "--quiet", "--package", package, "--bin", binary]).args(more);
    command.arg("--target-dir").arg(target()?);
    if release {
        command.arg("--release");
    }
    let status = command.status().context("cannot start cargo")?;
    ensure!(status.success(), "{binary} does not build");
    binary_path(binary, release)
}

/// Where a binary of the workspace is after it was built.
pub(crate) fn binary_path(binary: &str, release: bool) -> Result<PathBuf> {
    let path = target()?.join(if release { "release" } else { "debug" }).join(binary);
    ensure!(path.exists(), "{} is not built", path.display());
    Ok(path)
}
