#!/bin/sh
# The compiler for fuzz targets: `cargo xtask fuzz` has cargo call it in rustc's place. Counters at every edge, which
# libFuzzer needs, go into the targets and into our own crates only: those that others wrote are not what is looked
# into here, and would be slowed down by half.
rustc=$1
shift
case " $* " in
*" --crate-name build_script_"*) ;;
*" --crate-name portcullis_"* | *" --crate-type bin "*)
    # Flags, separated by blanks.
    # shellcheck disable=SC2086
    set -- "$@" $FUZZ_FLAGS
    ;;
esac
exec "$rustc" "$@"
