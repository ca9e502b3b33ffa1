//! Compiles the XDP program and generates its skeleton.

use libbpf_cargo::SkeletonBuilder;
use std::env;
use std::path::PathBuf;
use std::process::{Command, exit};

/// The gate's program, the one that its tests take headers apart with, and the load of measurements.
const SOURCES: [&str; 3] = ["src/portcullis", "src/tuple_probe", "examples/measure/scatter"];
const HEADERS: [&str; 7] = [
    "src/portcullis.h",
    "src/maps.h",
    "src/liveness.h",
    "src/tuple.h",
    "src/cache.h",
    "src/lists.h",
    "src/passed.h",
];

fn main() {
    for file in HEADERS {
        println!("cargo::rerun-if-changed={file}");
    }
    println!("cargo::rerun-if-env-changed=CLANG");
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    if Command::new(&clang).arg("--version").output().is_err() {
        fail(&format!("{clang} is not installed, and it compiles the XDP program: apt-get install clang"));
    }
    for source in SOURCES {
        compile(source, &clang);
    }
}

/// Compiles one source to a skeleton of its name.
fn compile(path: &str, clang: &str) {
    let source = format!("{path}.bpf.c");
    let name = path.rsplit('/').next().unwrap_or(path);
    println!("cargo::rerun-if-changed={source}");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join(format!("{name}.skel.rs"));
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    // The kernel's own headers sit below the multiarch directory on Debian; elsewhere it is not there, which
    // clang does not mind.
    let headers = format!("-I/usr/include/{arch}-linux-gnu");
    let built = SkeletonBuilder::new()
        .source(&source)
        .clang(clang)
        .clang_args([headers.as_str(), "-Isrc", "-Wall", "-Werror"])
        .build_and_generate(&out);
    if let Err(error) = built {
        fail(&format!("the XDP program does not compile ({source}): {error:#}"));
    }
}

fn fail(reason: &str) -> ! {
    println!("cargo::error={reason}");
    exit(1)
}
