# Sourced by the other scripts: what must be there before cargo can take over. Everything else is
# installed by `cargo xtask setup`.

fail() {
    echo "error: $*" >&2
    exit 1
}

# Programs that only root needs are not on every user's path.
PATH="$PATH:/usr/sbin:/sbin"
export PATH

command -v git >/dev/null || fail "git is not installed; on Debian: apt-get install git"
command -v cargo >/dev/null || fail "no Rust toolchain (cargo) found; https://rustup.rs installs one"
if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
    fail "this makes network namespaces and loads BPF programs: run it as root, or install sudo"
fi

cd "$(dirname "$0")/.." || fail "cannot enter the folder of the project"

# Rust links with the C compiler, so this one package cannot wait for xtask.
if ! command -v cc >/dev/null; then
    command -v apt-get >/dev/null || fail "no C compiler (cc) found, and this is not Debian: install one"
    as_root=
    [ "$(id -u)" -eq 0 ] || as_root=sudo
    echo "==> Installing gcc and libc6-dev, which Rust links with"
    $as_root apt-get update
    $as_root apt-get install --yes --no-install-recommends gcc libc6-dev || fail "cannot install gcc"
fi

cargo xtask setup
