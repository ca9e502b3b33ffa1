//! The guest's only file system: an archive that the kernel unpacks into memory (cpio, format "newc").

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::kernel::Kernel;
use super::packages::BUSYBOX;
use crate::workspace;

/// What the guest runs first.
const INIT: &[u8] = include_bytes!("init");
/// Where the guest has the gate.
pub(crate) const GATE: &str = "/bin/portcullis";
/// Where the guest has the gate's configurations.
pub(crate) const CONFIGS: &str = "/etc/portcullis";
/// Their names: of the gate over AF_XDP, and over DPDK.
pub(crate) const XDP_CONFIG: &str = "vm.toml";
pub(crate) const DPDK_CONFIG: &str = "vm-dpdk.toml";
/// Over DPDK's tap driver.
pub(crate) const TAP_CONFIG: &str = "vm-dpdk-tap.toml";
/// Where Debian has libraries; every place that they may be named by is one.
const LIBRARIES: &str = "/lib/x86_64-linux-gnu";
/// DPDK's drivers for the guest, which the configurations name, too.
const DRIVERS: [&str; 3] = ["librte_mempool_ring.so", "librte_net_e1000.so", "librte_net_tap.so"];

/// Puts kernel modules, the gate with its libraries, its configurations and busybox into `target`; with `dpdk` DPDK's
/// drivers, too.
pub(crate) fn write(kernel: &Kernel, gate: &Path, dpdk: bool, target: &Path) -> Result<()> {
    let file = File::create(target).with_context(|| format!("cannot write {}", target.display()))?;
    let mut archive = Archive::new(BufWriter::new(file));
    for folder in ["dev", "proc", "sys", "tmp", "run", "var/run", "var/log/portcullis"] {
        archive.folder(Path::new(folder))?;
    }
    archive.file("init", 0o755, INIT)?;
    archive.copy(BUSYBOX, Path::new(BUSYBOX), 0o755)?;
    archive.copy(GATE, gate, 0o755)?;
    let mut needed: BTreeSet<PathBuf> = libraries(gate)?.into_iter().collect();
    for driver in DRIVERS.iter().filter(|_| dpdk) {
        let driver = Path::new(LIBRARIES).join(driver);
        needed.extend(libraries(&driver)?);
        needed.insert(driver);
    }
    for library in needed {
        let place = library.to_str().context("libraries have plain names")?;
        archive.copy(place, &library, 0o755)?;
    }
    let mut order = String::new();
    for module in &kernel.modules {
        let name = module.file_stem().and_then(|name| name.to_str()).context("modules have plain names")?;
        archive.copy(&format!("modules/{name}.ko"), module, 0o644)?;
        order.push_str(name);
        order.push('\n');
    }
    archive.file("modules/order", 0o644, order.as_bytes())?;
    let configs = workspace::root()?.join("configs");
    for file in [XDP_CONFIG, DPDK_CONFIG, TAP_CONFIG] {
        archive.copy(&format!("{CONFIGS}/{file}"), &configs.join(file), 0o644)?;
    }
    archive.copy("etc/portcullis/rules/vm.rules", &configs.join("rules/vm.rules"), 0o644)?;
    archive.finish()
}

/// The shared libraries that a program needs, its loader among them, by their places.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).output().context("cannot start ldd")?;
    ensure!(output.status.success(), "ldd cannot tell what {} needs", program.display());
    paths(&String::from_utf8_lossy(&output.stdout))
}

/// From lines such as `libz.so.1 => /lib/libz.so.1 (0x…)` and `/lib64/ld-linux-x86-64.so.2 (0x…)`.
fn paths(text: &str) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for line in text.lines() {
        ensure!(!line.contains("not found"), "a library is missing: {}", line.trim());
        let place = line.split_once("=>").map_or(line, |(_, place)| place);
        if let Some(path) = place.split_whitespace().next().filter(|path| path.starts_with('/')) {
            paths.push(PathBuf::from(path));
        }
    }
    Ok(paths)
}

/// Writes an archive: a header of hexadecimal fields, the name and the contents for each entry, each padded to four
/// bytes (the kernel's Documentation/driver-api/early-userspace/buffer-format.rst).
#[derive(Debug)]
struct Archive<W> {
    out: W,
    entries: u32,
    written: usize,
    folders: BTreeSet<PathBuf>,
}

const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;

impl<W: Write> Archive<W> {
    const fn new(out: W) -> Self {
        Self { out, entries: 0, written: 0, folders: BTreeSet::new() }
    }

    fn copy(&mut self, place: &str, source: &Path, mode: u32) -> Result<()> {
        let contents = fs::read(source).with_context(|| format!("cannot read {}", source.display()))?;
        self.file(place, mode, &contents)
    }

    fn file(&mut self, place: &str, mode: u32, contents: &[u8]) -> Result<()> {
        let place = place.trim_start_matches('/');
        if let Some(parent) = Path::new(place).parent() {
            self.folder(parent)?;
        }
        self.entry(place, FILE | mode, contents).context("cannot write the guest's files")
    }

    /// A folder and those that it is in; the kernel makes none by itself.
    fn folder(&mut self, path: &Path) -> Result<()> {
        let mut above: Vec<&Path> = path.ancestors().filter(|path| !path.as_os_str().is_empty()).collect();
        above.reverse();
        for folder in above {
            if self.folders.insert(folder.to_owned()) {
                let name = folder.to_str().context("folders have plain names")?;
                self.entry(name, FOLDER | 0o755, &[]).context("cannot write the guest's files")?;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        self.entry("TRAILER!!!", 0, &[])
            .and_then(|()| self.out.flush())
            .context("cannot write the guest's files")
    }

    fn entry(&mut self, name: &str, mode: u32, contents: &[u8]) -> io::Result<()> {
        self.entries += 1;
        let size = u32::try_from(contents.len()).map_err(io::Error::other)?;
        let name_size = u32::try_from(name.len() + 1).map_err(io::Error::other)?;
        // Inode, mode, owner, group, links, time, size, device, device's own, length of the name, checksum.
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        let mut header = "070701".to_owned();
        fields.iter().for_each(|field| header.push_str(&format!("{field:08x}")));
        self.put(header.as_bytes())?;
        self.put(name.as_bytes())?;
        self.put(&[0])?;
        self.pad()?;
        self.put(contents)?;
        self.pad()
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len();
        self.out.write_all(bytes)
    }

    fn pad(&mut self) -> io::Result<()> {
        let missing = self.written.next_multiple_of(4) - self.written;
        self.put(&[0_u8; 3][..missing])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_found_in_what_ldd_says() {
        let text = "\tlinux-vdso.so.1 (0x00007f1a)\n\tlibz.so.1 => /lib/libz.so.1 (0x00007f)\n\t/lib64/ld.so.2 (0x7)\n";
        assert_eq!(paths(text).unwrap(), [Path::new("/lib/libz.so.1"), Path::new("/lib64/ld.so.2")]);
        assert!(paths("\tstatically linked\n").unwrap().is_empty());
        let error = paths("\tlibx.so => not found\n").unwrap_err().to_string();
        assert_eq!(error, "a library is missing: libx.so => not found");
    }

    #[test]
    fn an_archive_is_what_the_kernel_reads() {
        let mut bytes = Vec::new();
        let mut archive = Archive::new(&mut bytes);
        archive.file("/a/b/c", 0o644, b"hello").unwrap();
        archive.folder(Path::new("a")).unwrap();
        archive.finish().unwrap();
        let mut rest = bytes.as_slice();
        let mut seen = Vec::new();
        while !rest.is_empty() {
            let field = |at: usize| {
                let text = std::str::from_utf8(&rest[6 + at * 8..][..8]).unwrap();
                usize::from_str_radix(text, 16).unwrap()
            };
            assert_eq!(&rest[..6], b"070701");
            let (mode, size, name) = (field(1), field(6), field(11));
            let start = (110 + name).next_multiple_of(4);
            seen.push((String::from_utf8_lossy(&rest[110..110 + name - 1]).into_owned(), mode));
            assert!(size == 0 || &rest[start..start + size] == b"hello");
            rest = &rest[(start + size).next_multiple_of(4)..];
        }
        let expected = [("a", 0o040_755), ("a/b", 0o040_755), ("a/b/c", 0o100_644), ("TRAILER!!!", 0)];
        assert_eq!(seen, expected.map(|(name, mode)| (name.to_owned(), mode)));
    }
}
