//! The guest's kernel: the newest of Debian's that has the drivers and is new enough for them to work on memory of ours.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::packages::Packages;
use crate::say;

/// The first version in which both drivers can do zero copy.
const SINCE: (u32, u32) = (6, 14);
/// The drivers; what they stand on is found out.
const DRIVERS: [&str; 10] = [
    "virtio_net",
    "igb",
    // What gives cards to programs, for DPDK's own drivers.
    "vfio_iommu_type1",
    "vfio_pci",
    // What DPDK's tap driver makes flow rules of.
    "tun",
    "sch_ingress",
    "sch_multiq",
    "cls_flower",
    "act_gact",
    "act_mirred",
];
/// How many versions are tried, should a package lack something.
const TRIES: usize = 3;

/// A kernel that is ready to boot.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// Its version, as packages are named.
    pub(crate) version: String,
    /// What is booted.
    pub(crate) image: PathBuf,
    /// Modules in the order in which they are loaded.
    pub(crate) modules: Vec<PathBuf>,
}

/// The newest kernel that qualifies: the newest one that the archive has, if the lists can be fetched or are fresh,
/// else the newest one in the cache.
pub(crate) fn newest(packages: &Packages) -> Result<Kernel> {
    let cached = || cached(&packages.kernels());
    if packages.lists_are_fresh()
        && let Some(kernel) = cached()
    {
        return Ok(kernel);
    }
    match download(packages) {
        Ok(kernel) => Ok(kernel),
        Err(error) => match cached() {
            Some(kernel) => {
                say::detail(&format!("using Linux {} from the cache: {error:#}", kernel.version));
                Ok(kernel)
            }
            None => Err(error.context("cannot get a Debian kernel package for the virtual machine")),
        },
    }
}

/// One kernel by its version, as packages are named.
pub(crate) fn exactly(packages: &Packages, version: &str) -> Result<Kernel> {
    if let Ok(kernel) = open(&packages.kernels(), version) {
        return Ok(kernel);
    }
    say::step(&format!("Downloading Linux {version} for the virtual machine"));
    packages.fetch_lists()?;
    let names = packages.names("linux-")?;
    let known = versions(&names);
    let known: Vec<&str> = known.iter().map(|version| version.text.as_str()).collect();
    ensure!(known.contains(&version), "the archive has no Linux {version}, but: {}", known.join(" "));
    fetch(packages, &names, version)
}

/// The newest kernel in the cache.
fn cached(kernels: &Path) -> Option<Kernel> {
    let entries = fs::read_dir(kernels).ok()?.flatten();
    let mut found: Vec<Version> = entries
        .filter_map(|entry| Version::parse(entry.file_name().to_str()?))
        .filter(Version::qualifies)
        .collect();
    found.sort();
    found.into_iter().rev().find_map(|version| open(kernels, &version.text).ok())
}

/// A kernel that was unpacked.
fn open(kernels: &Path, version: &str) -> Result<Kernel> {
    let folder = kernels.join(version);
    let order =
        fs::read_to_string(folder.join("order")).with_context(|| format!("{version} is not in the cache"))?;
    let modules: Vec<PathBuf> = order.lines().map(|name| folder.join(name)).collect();
    for driver in DRIVERS {
        // One that was unpacked by an older version of this program.
        ensure!(
            order.lines().any(|name| name == format!("{driver}.ko")),
            "{version} in the cache has no {driver}"
        );
    }
    let image = folder.join("vmlinuz");
    ensure!(
        image.is_file() && modules.iter().all(|module| module.is_file()),
        "{version} is not whole in the cache"
    );
    Ok(Kernel { version: version.to_owned(), image, modules })
}

fn download(packages: &Packages) -> Result<Kernel> {
    say::step("Looking for the newest Debian kernel for the virtual machine");
    packages.fetch_lists()?;
    let names = packages.names("linux-")?;
    let versions = versions(&names);
    ensure!(!versions.is_empty(), "the archive has no kernel from {}.{} on", SINCE.0, SINCE.1);
    let mut reasons = Vec::new();
    for version in versions.iter().take(TRIES) {
        if let Ok(kernel) = open(&packages.kernels(), &version.text) {
            return Ok(kernel);
        }
        say::detail(&format!("downloading Linux {} (once; about 120 MB)", version.text));
        match fetch(packages, &names, &version.text) {
            Ok(kernel) => return Ok(kernel),
            Err(error) => reasons.push(format!("{}: {error:#}", version.text)),
        }
    }
    bail!("no kernel could be had ({})", reasons.join("; "))
}

/// Downloads and unpacks a kernel: what is needed of it is kept, and appears in the cache all at once.
fn fetch(packages: &Packages, names: &str, version: &str) -> Result<Kernel> {
    let kernels = packages.kernels();
    // Newer packages are split: what is there of these is the whole.
    let parts = ["image", "binary", "modules"].map(|part| format!("linux-{part}-{version}-amd64"));
    let parts: Vec<String> =
        parts.into_iter().filter(|part| names.lines().any(|name| name == part)).collect();
    // Downloads stay until they are whole, so that one that broke off is resumed.
    let downloads = kernels.join(format!("{version}.download"));
    let archives = packages.download(&parts, &downloads)?;
    let work = tempfile::Builder::new().prefix(".unpacking").tempdir_in(&kernels)?;
    let tree = work.path().join("tree");
    fs::create_dir(&tree)?;
    archives.iter().try_for_each(|archive| unpack(archive, &tree))?;
    let ready = work.path().join("ready");
    fs::create_dir(&ready)?;
    let mut files = Vec::new();
    list(&tree, &mut files)?;
    let image = files.iter().find(|path| name(path).starts_with("vmlinuz"));
    fs::copy(image.context("the packages hold no vmlinuz")?, ready.join("vmlinuz"))?;
    let order = collect(&files, &ready)?;
    fs::write(ready.join("order"), order.join("\n"))?;
    let place = kernels.join(version);
    if place.exists() {
        fs::remove_dir_all(&place).with_context(|| format!("cannot remove {}", place.display()))?;
    }
    fs::rename(&ready, &place).context("cannot put the kernel into the cache")?;
    fs::remove_dir_all(&downloads)?;
    open(&kernels, version)
}

/// Puts the drivers and what they stand on into `ready`, and says in which order they are loaded.
fn collect(files: &[PathBuf], ready: &Path) -> Result<Vec<String>> {
    let mut order: Vec<String> = Vec::new();
    // Depth first: a module is loaded after those that it depends on.
    let mut stack: Vec<(String, bool)> =
        DRIVERS.iter().rev().map(|name| ((*name).to_owned(), false)).collect();
    while let Some((module, ready_to_load)) = stack.pop() {
        let file_name = format!("{module}.ko");
        if order.contains(&file_name) {
            continue;
        }
        if ready_to_load {
            order.push(file_name);
            continue;
        }
        let source = files.iter().find(|path| module_name(path).as_deref() == Some(&module));
        let source = source.with_context(|| format!("the packages hold no module {module}"))?;
        let file = ready.join(&file_name);
        decompress(source, &file)?;
        stack.push((module, true));
        stack.extend(dependencies(&fs::read(&file)?).into_iter().map(|name| (name, false)));
    }
    Ok(order)
}

/// The modules that a module needs, from its `.modinfo`.
fn dependencies(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(start) = module.windows(KEY.len()).position(|window| window == KEY) else { return Vec::new() };
    let value = module.get(start + KEY.len()..).unwrap_or_default();
    let value = value.split(|byte| *byte == 0).next().unwrap_or_default();
    let value = String::from_utf8_lossy(value);
    value.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

/// `…/i2c-algo-bit.ko.xz` is `i2c_algo_bit`.
fn module_name(path: &Path) -> Option<String> {
    let name = name(path);
    let stem = name.strip_suffix(".ko.xz").or_else(|| name.strip_suffix(".ko"))?;
    Some(stem.replace('-', "_"))
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(OsStr::to_str).unwrap_or_default()
}

fn decompress(source: &Path, target: &Path) -> Result<()> {
    if source.extension() != Some(OsStr::new("xz")) {
        fs::copy(source, target)?;
        return Ok(());
    }
    let status = Command::new("xz").arg("-dc").arg(source).stdout(File::create(target)?).status();
    ensure!(status.context("cannot start xz")?.success(), "xz cannot unpack {}", source.display());
    Ok(())
}

fn unpack(archive: &Path, folder: &Path) -> Result<()> {
    let mut reader = Command::new("dpkg-deb");
    let mut reader = reader.arg("--fsys-tarfile").arg(archive).stdout(Stdio::piped()).spawn();
    let reader = reader.as_mut().map_err(|error| anyhow::anyhow!("cannot start dpkg-deb: {error}"))?;
    let stream = reader.stdout.take().context("dpkg-deb's output was asked for")?;
    let writer = Command::new("tar").arg("-x").arg("-C").arg(folder).stdin(stream).status();
    let unpacked = reader.wait().context("cannot wait for dpkg-deb")?.success();
    ensure!(writer.context("cannot start tar")?.success() && unpacked, "cannot unpack {}", archive.display());
    Ok(())
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// A version that packages are named by, such as `6.18.15+deb13`, in the order of age.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    numbers: Vec<u32>,
    text: String,
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        // A dash begins the name of a special build: rt, cloud.
        let release = text.split_once('+').map_or(text, |(release, _)| release);
        let numbers: Option<Vec<u32>> = release.split('.').map(|number| number.parse().ok()).collect();
        let plain = !text.contains('-') && !text.contains(".download");
        plain.then(|| numbers.map(|numbers| Self { numbers, text: text.to_owned() })).flatten()
    }

    fn qualifies(&self) -> bool {
        matches!(self.numbers[..], [major, minor, ..] if (major, minor) >= SINCE)
    }
}

/// The versions that qualify among package names, newest first.
fn versions(names: &str) -> Vec<Version> {
    let version = |name: &str| {
        let rest = name.strip_prefix("linux-image-").or_else(|| name.strip_prefix("linux-modules-"))?;
        Version::parse(rest.strip_suffix("-amd64")?).filter(Version::qualifies)
    };
    let mut versions: Vec<Version> = names.lines().filter_map(version).collect();
    versions.sort_by_key(|version| Reverse(version.clone()));
    versions.dedup();
    versions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], expected: &[&str]) {
        let found = versions(&names.join("\n"));
        let found: Vec<&str> = found.iter().map(|version| version.text.as_str()).collect();
        assert_eq!(found, expected, "{names:?}");
    }

    #[test]
    fn the_newest_version_comes_first_and_unfit_ones_not_at_all() {
        check(&[], &[]);
        check(&["linux-image-6.12.95+deb13-amd64", "linux-image-amd64", "linux-image-6.1.0-47-amd64"], &[]);
        check(&["linux-image-6.14.1+deb13-amd64", "linux-image-6.13.9+deb13-amd64"], &["6.14.1+deb13"]);
        check(
            &[
                "linux-image-6.18.15+deb13-amd64",
                "linux-image-6.18.9+deb13-amd64",
                "linux-modules-7.2.11+deb13-amd64",
                "linux-modules-7.2.11+deb13-cloud-amd64",
                "linux-modules-7.2.11+deb13-rt-amd64",
                "linux-image-7.2.11+deb13-amd64",
                "linux-image-7.2.11+deb13-amd64-dbg",
                "linux-image-7.2.9+deb13-amd64",
                "linux-headers-7.9.1+deb13-amd64",
            ],
            &["7.2.11+deb13", "7.2.9+deb13", "6.18.15+deb13", "6.18.9+deb13"],
        );
    }

    #[test]
    fn modules_say_what_they_depend_on() {
        let check = |bytes: &[u8], expected: &[&str]| assert_eq!(dependencies(bytes), expected);
        check(b"ELF\0license=GPL\0depends=i2c-algo-bit,dca\0name=igb\0", &["i2c_algo_bit", "dca"]);
        check(b"ELF\0depends=\0name=dca\0", &[]);
        check(b"ELF\0name=dca\0", &[]);
    }

    #[test]
    fn only_whole_kernels_come_out_of_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str, contents: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, contents).unwrap();
        };
        let modules = DRIVERS.map(|driver| format!("{driver}.ko"));
        let order = modules.join("\n");
        assert!(cached(folder.path()).is_none());
        for path in ["6.9.1+deb13/order", "7.1.1+deb13/order", "7.1.1+deb13/vmlinuz", "8.0.1+deb13/order"] {
            put(path, &order);
        }
        assert!(cached(folder.path()).is_none());
        modules.iter().for_each(|module| put(&format!("7.1.1+deb13/{module}"), ""));
        put("9.1.1+deb13.download/order", &order);
        // Of a time when fewer drivers were needed.
        ["order", "vmlinuz", "igb.ko"].iter().for_each(|file| put(&format!("7.2.1+deb13/{file}"), "igb.ko"));
        let kernel = cached(folder.path()).unwrap();
        assert_eq!(kernel.version, "7.1.1+deb13");
        assert_eq!(kernel.modules.iter().map(|path| name(path)).collect::<Vec<_>>(), modules);
    }
}
