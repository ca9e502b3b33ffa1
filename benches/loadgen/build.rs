//! Compiles the sender's and the sink's BPF programs and generates their skeleton.

use std::env;
use std::path::PathBuf;
use std::process::{Command, exit};

use libbpf_cargo::SkeletonBuilder;

const SOURCE: &str = "src/loadgen.bpf.c";

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-env-changed=CLANG");
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    if Command::new(&clang).arg("--version").output().is_err() {
        fail(&format!("{clang} is not installed; `cargo xtask setup` installs what the build needs"));
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("loadgen.skel.rs");
    // Debian keeps <asm/types.h> below the multiarch directory; clang ignores a path that is not there.
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let headers = format!("-I/usr/include/{arch}-linux-gnu");
    let built = SkeletonBuilder::new()
        .source(SOURCE)
        .clang(clang)
        .clang_args([headers.as_str(), "-Wall", "-Werror"])
        .build_and_generate(&out);
    if let Err(error) = built {
        fail(&format!("{SOURCE} does not compile: {error:#}"));
    }
}

fn fail(reason: &str) -> ! {
    println!("cargo::error={}", reason.replace('\n', " "));
    exit(1)
}
