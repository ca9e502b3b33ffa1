//! Where tests are built with the address sanitizer, plugins that they load take its functions from them.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_SANITIZED").is_some() {
        println!("cargo::rustc-link-arg-tests=-rdynamic");
    }
}
