//! Compiles the BPF programs of senders, receivers and forwarders and generates their skeletons.

use std::env;
use std::path::PathBuf;
use std::process::{Command, exit};

use libbpf_cargo::SkeletonBuilder;

const SOURCES: [&str; 3] = ["send", "receive", "forward"];

fn main() {
    println!("cargo::rerun-if-changed=src/bpf");
    println!("cargo::rerun-if-env-changed=CLANG");
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    if Command::new(&clang).arg("--version").output().is_err() {
        fail(&format!("{clang} is not installed; `cargo xtask setup` installs what the build needs"));
    }
    // Debian keeps <asm/types.h> below the multiarch directory; clang ignores a path that is not there.
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let headers = format!("-I/usr/include/{arch}-linux-gnu");
    for name in SOURCES {
        let source = format!("src/bpf/{name}.bpf.c");
        let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join(format!("{name}.skel.rs"));
        let built = SkeletonBuilder::new()
            .source(&source)
            .clang(&clang)
            // The version that has atomic operations which tell what was there before.
            .clang_args([headers.as_str(), "-Wall", "-Werror", "-mcpu=v3"])
            .build_and_generate(&out);
        if let Err(error) = built {
            fail(&format!("{source} does not compile: {error:#}"));
        }
    }
}

fn fail(reason: &str) -> ! {
    println!("cargo::error={}", reason.replace('\n', " "));
    exit(1)
}
