//! Debian packages for the virtual machine: the emulator, installed, and guest kernels, downloaded and unpacked only.
//!
//! apt does it with a configuration, lists and a cache of its own below the user's cache folder: that of the system is
//! left alone. Lists are signed; they say what a package's checksum is, and downloads that broke off are resumed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};
use std::{env, io};

use anyhow::{Context, Result, bail, ensure};
use portcullis_testkit::is_root;

use crate::privilege::require_sudo;
use crate::program::is_installed;
use crate::say;

/// Where the emulator is.
pub(crate) const QEMU: &str = "qemu-system-x86_64";
/// The first version that emulates a network card of the driver igb.
const QEMU_SINCE: u32 = 8;
/// Programs for the guest, in one without libraries.
pub(crate) const BUSYBOX: &str = "/bin/busybox";
/// Who signed the archive.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Where packages come from, unless the system says otherwise.
const MIRROR: &str = "http://deb.debian.org/debian";
/// So long package lists are believed.
const FRESH: Duration = Duration::from_secs(7 * 24 * 3600);

/// The folder in the user's cache, and apt's view of it.
#[derive(Debug)]
pub(crate) struct Packages {
    folder: PathBuf,
}

impl Packages {
    /// Opens the cache and writes apt's configuration into it.
    pub(crate) fn open() -> Result<Self> {
        let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
        let folder = cache.or_else(home).context("HOME is not set, so there is no place for a cache")?;
        let packages = Self { folder: folder.join("portcullis/vm") };
        packages.configure().with_context(|| format!("cannot write to {}", packages.folder.display()))?;
        Ok(packages)
    }

    /// Where unpacked kernels are kept.
    pub(crate) fn kernels(&self) -> PathBuf {
        self.folder.join("kernels")
    }

    /// Were the package lists fetched not long ago?
    pub(crate) fn lists_are_fresh(&self) -> bool {
        let age = || -> io::Result<Duration> {
            let fetched = fs::metadata(self.stamp())?.modified()?;
            Ok(SystemTime::now().duration_since(fetched).unwrap_or_default())
        };
        age().is_ok_and(|age| age < FRESH)
    }

    /// Fetches the package lists.
    pub(crate) fn fetch_lists(&self) -> Result<()> {
        ensure!(is_installed("apt-get"), "this is not Debian or a relative (no apt-get)");
        self.succeed(self.apt("apt-get").arg("update"))?;
        fs::write(self.stamp(), "").context("cannot note when the lists were fetched")
    }

    /// The names of all packages that begin with `prefix`, one a line.
    pub(crate) fn names(&self, prefix: &str) -> Result<String> {
        let output = self.apt("apt-cache").args(["pkgnames", prefix]).output();
        let output = output.context("cannot start apt-cache")?;
        ensure!(output.status.success(), "apt-cache failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Downloads packages into `folder`, goes on where that broke off, and says where they are.
    pub(crate) fn download(&self, packages: &[String], folder: &Path) -> Result<Vec<PathBuf>> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let output = self.apt("apt-get").args(["download", "--print-uris"]).args(packages).output();
        let output = output.context("cannot start apt-get")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "apt-get does not find {}: {}", packages.join(" "), said.trim());
        let text = String::from_utf8_lossy(&output.stdout);
        let archives: Vec<Archive<'_>> = text.lines().filter_map(Archive::parse).collect();
        ensure!(archives.len() == packages.len(), "apt-get does not say where {} is", packages.join(" "));
        archives.iter().map(|archive| self.fetch(archive, folder)).collect()
    }

    fn fetch(&self, archive: &Archive<'_>, folder: &Path) -> Result<PathBuf> {
        let path = folder.join(archive.name);
        let size = || fs::metadata(&path).map_or(0, |file| file.len());
        if size() != archive.size {
            let mut curl = Command::new("curl");
            curl.args(["--fail", "--silent", "--show-error", "--location", "--retry", "3"]);
            curl.args(["--connect-timeout", "30", "--speed-limit", "1000", "--speed-time", "60"]);
            curl.args(["--continue-at", "-", "--output"]).arg(&path).arg(archive.uri);
            let fetched = self.succeed(&mut curl).with_context(|| format!("cannot download {}", archive.uri));
            if size() > archive.size {
                let _ = fs::remove_file(&path);
            }
            fetched?;
        }
        let output = Command::new("sha256sum").arg(&path).output().context("cannot start sha256sum")?;
        let sum = String::from_utf8_lossy(&output.stdout);
        if sum.split_whitespace().next() != Some(archive.sha256) {
            // The next attempt begins anew.
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            bail!("{} was damaged on its way", archive.uri);
        }
        Ok(path)
    }

    /// Installs emulator and busybox, as far as they are missing or too old.
    pub(crate) fn install_emulator(&self) -> Result<()> {
        let mut wanted = Vec::new();
        if qemu_version().is_none_or(|version| version < QEMU_SINCE) {
            wanted.push("qemu-system-x86");
        }
        if !is_static(Path::new(BUSYBOX)) {
            wanted.push("busybox-static");
        }
        for (program, package) in
            [("dpkg-deb", "dpkg"), ("tar", "tar"), ("xz", "xz-utils"), ("ldd", "libc-bin"), ("curl", "curl")]
        {
            if !is_installed(program) {
                wanted.push(package);
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let list = wanted.join(" ");
        say::step(&format!("Installing Debian packages for the virtual machine: {list}"));
        require_sudo().with_context(|| format!("cannot install {list}"))?;
        self.install(&wanted).with_context(|| format!("cannot install {list}"))?;
        match qemu_version() {
            Some(version) if version >= QEMU_SINCE => Ok(()),
            found => bail!("QEMU {QEMU_SINCE} or later is needed, but this system brings {found:?}"),
        }
    }

    fn install(&self, packages: &[&str]) -> Result<()> {
        ensure!(is_installed("apt-get"), "this is not Debian or a relative (no apt-get)");
        let mut words: Vec<String> = Vec::new();
        if !is_root() {
            words.push("sudo".to_owned());
        }
        words.extend(["env", "DEBIAN_FRONTEND=noninteractive"].map(str::to_owned));
        // Debian 12 has a QEMU that is new enough in its backports only.
        let backports = codename().as_deref() == Some("bookworm");
        if backports {
            self.fetch_lists()?;
            words.push(format!("APT_CONFIG={}", self.configuration().display()));
        }
        words.extend(["apt-get", "install", "--yes", "--no-install-recommends"].map(str::to_owned));
        if backports {
            words.push("--target-release=bookworm-backports".to_owned());
        }
        words.extend(packages.iter().map(|&package| package.to_owned()));
        let (program, arguments) = words.split_first().context("there are words")?;
        self.succeed(Command::new(program).args(arguments))
    }

    fn configure(&self) -> Result<()> {
        for folder in ["lists/partial", "cache/archives/partial", "kernels"] {
            fs::create_dir_all(self.folder.join(folder))?;
        }
        let mirror = mirror();
        let suites = ["bookworm", "bookworm-updates", "bookworm-backports", "trixie-backports"];
        let sources: String =
            suites.map(|suite| format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n")).concat();
        fs::write(self.folder.join("sources.list"), sources)?;
        let folder = self.folder.display();
        let configuration = format!(
            "Dir::Etc::sourcelist \"{folder}/sources.list\";\n\
             Dir::Etc::sourceparts \"/dev/null\";\n\
             Dir::State::lists \"{folder}/lists\";\n\
             Dir::Cache \"{folder}/cache\";\n\
             Acquire::Languages \"none\";\n\
             Acquire::Retries \"3\";\n\
             Acquire::http::Timeout \"60\";\n\
             APT::Sandbox::User \"root\";\n"
        );
        Ok(fs::write(self.configuration(), configuration)?)
    }

    fn configuration(&self) -> PathBuf {
        self.folder.join("apt.conf")
    }

    fn stamp(&self) -> PathBuf {
        self.folder.join("lists-fetched")
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.configuration()).env("LC_ALL", "C");
        command
    }

    /// Runs a command that says nothing unless it fails.
    fn succeed(&self, command: &mut Command) -> Result<()> {
        let program = command.get_program().to_string_lossy().into_owned();
        let output = command.output().with_context(|| format!("cannot start {program}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{program} failed: {}", said.trim());
        // apt takes lists that it cannot fetch for a mere warning.
        let missed = said.lines().find(|line| line.contains("Failed to fetch"));
        match missed {
            Some(line) => bail!("{}", line.trim()),
            None => Ok(()),
        }
    }
}

/// Where a package is, as apt says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Archive<'a> {
    uri: &'a str,
    name: &'a str,
    size: u64,
    sha256: &'a str,
}

impl<'a> Archive<'a> {
    /// From a line `'http://…/a.deb' a.deb 14138336 SHA256:7e32…`.
    fn parse(line: &'a str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let uri = words.next()?.strip_prefix('\'')?.strip_suffix('\'')?;
        let (name, size) = (words.next()?, words.next()?.parse().ok()?);
        Some(Self { uri, name, size, sha256: words.next()?.strip_prefix("SHA256:")? })
    }
}

/// The mirror that the system's own packages come from.
fn mirror() -> String {
    let output =
        Command::new("apt-get").args(["indextargets", "--format", "$(ORIGIN) $(CODENAME) $(SITE)"]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    mirror_of(&text).unwrap_or(MIRROR).to_owned()
}

fn mirror_of(targets: &str) -> Option<&str> {
    targets.lines().find_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
        ["Debian", suite, site] if !suite.contains('-') && site.starts_with("http") => Some(site),
        _ => None,
    })
}

fn codename() -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .map(|name| name.trim_matches('"').to_owned())
}

/// The major version of the emulator, if it is there.
fn qemu_version() -> Option<u32> {
    let output = Command::new(QEMU).arg("--version").output().ok()?;
    major(&String::from_utf8_lossy(&output.stdout))
}

/// From `QEMU emulator version 10.0.2 (Debian …)`.
fn major(text: &str) -> Option<u32> {
    text.split_once("version ")?.1.split('.').next()?.parse().ok()
}

/// A guest has no libraries for it.
fn is_static(program: &Path) -> bool {
    let said = Command::new("ldd").arg(program).output();
    program.exists() && said.is_ok_and(|output| !String::from_utf8_lossy(&output.stdout).contains("=>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(major("QEMU emulator version 10.0.2 (Debian 1:10.0.2)\nCopyright"), Some(10));
        assert_eq!(major("QEMU emulator version 7.2.9"), Some(7));
        assert_eq!(major("something else"), None);
    }

    #[test]
    fn what_apt_says_of_a_package_is_read() {
        let line = "'http://deb.example.org/a%2bb.deb' a+b_1_amd64.deb 14138336 SHA256:7e32";
        let (uri, name) = ("http://deb.example.org/a%2bb.deb", "a+b_1_amd64.deb");
        assert_eq!(Archive::parse(line), Some(Archive { uri, name, size: 14_138_336, sha256: "7e32" }));
        for line in ["", "Reading lists", "'http://x' a.deb 1 MD5Sum:7e"] {
            assert_eq!(Archive::parse(line), None, "{line}");
        }
    }

    #[test]
    fn the_mirror_is_that_of_the_release_itself() {
        let targets = "Debian bookworm-security http://deb.debian.org/debian-security\n\
                       Google apt https://packages.example.org\n\
                       Debian bookworm http://mirror.example.org/debian\n";
        assert_eq!(mirror_of(targets), Some("http://mirror.example.org/debian"));
        assert_eq!(mirror_of("Ubuntu noble http://archive.example.org/ubuntu\n"), None);
        assert_eq!(mirror_of(""), None);
    }
}
