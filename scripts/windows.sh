#!/usr/bin/env bash
# Runs the tests of the core, compiled for Windows on x86-64, in wine on a Debian machine.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/cross.sh

TARGET=x86_64-pc-windows-gnu
WORK=$PWD/target/windows

need gcc-mingw-w64-x86-64-win32 wine64 rustc-web cargo-web rust-web-src
use_debian_rust
# Debian has no standard library for this target: it is compiled from its source, by a flag that counts as unstable. So are the
# objects that begin and end a program.
export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$WORK
mkdir -p "$WORK/runtime"
for part in rsbegin rsend; do
    rustc --target $TARGET --emit=obj -O "$(rustc --print sysroot)/lib/rustlib/src/rust/library/rtstartup/$part.rs" \
        -o "$WORK/runtime/$part.o"
done
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=x86_64-w64-mingw32-gcc
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUSTFLAGS="-L native=$WORK/runtime"
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER=/usr/lib/wine/wine64
export WINEPREFIX=$WORK/wine WINEDEBUG=-all

# Wine 8 lacks the library that the standard library takes its random numbers from.
tests=$WORK/$TARGET/tested/deps
mkdir -p "$tests"
printf '%s\n' '#include <windows.h>' 'BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);' \
    '__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T n) { return SystemFunction036(data, (ULONG)n); }' \
    >"$WORK/random.c"
x86_64-w64-mingw32-gcc -shared -O1 -o "$tests/bcryptprimitives.dll" "$WORK/random.c" -ladvapi32

cargo test --quiet -Zbuild-std=std,panic_unwind,test --profile tested --target $TARGET --package fastcodes-core "$@"
