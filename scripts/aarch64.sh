#!/usr/bin/env bash
# Tests the kernels for 64-bit ARM on an x86-64 machine with Debian, under emulation (qemu).
#
#   scripts/aarch64.sh check   lint the workspace for the target and run the tests of the quick kernels
#   scripts/aarch64.sh test    all tests of the core, on a CPU with dot products and on one without, and a wheel of today
#   scripts/aarch64.sh wheel FILE   `fastcodes info` and the Python tests of the kernels, at both levels, on both CPUs
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/cross.sh

TARGET=aarch64-unknown-linux-gnu
WORK=$PWD/target/aarch64
# Emulation takes half a minute for these; the others take minutes.
QUICK=(--lib --test bits --test hadamard --test minhash)
# Has NEON but no dot products; the default CPU has both.
OLDER_CPU=cortex-a72

if [ "$(uname -m)" = aarch64 ]; then
    echo 'this machine is one: make test' >&2
    exit 2
fi
packages=(rustc-web cargo-web rust-web-clippy libstd-rust-web-dev:arm64 gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static)
if ! need "${packages[@]}"; then
    test "${1:-}" = check && test -z "${CI:-}" && echo 'skipped the check for ARM' >&2 && exit 0
    exit 1
fi
use_debian_rust
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
# The C library of the package libc6:arm64: with that of libc6-arm64-cross, threads never start under qemu 7.2.
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER='qemu-aarch64-static -L /'

core_tests() {
    CARGO_TARGET_DIR=$WORK cargo test --quiet --profile tested --target $TARGET --package fastcodes-core "$@"
}

check() {
    CARGO_TARGET_DIR=$WORK cargo clippy --quiet --target $TARGET --workspace -- -D warnings
    core_tests "${QUICK[@]}"
}

# An emulated CPython 3.11: Debian's packages unpacked into a folder, libraries from wheels. The kernels with vectors of any length (SVE) of
# the OpenBLAS in numpy return wrong products under qemu 7.2: those for the first ARMv8 are taken.
unpack_python() {
    local packages=(python3.11 python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libc6 libexpat1 zlib1g libssl3
        libffi8 libbz2-1.0 liblzma5 libsqlite3-0 libstdc++6 libgcc-s1 libuuid1 libcrypt1 libreadline8 libtinfo6 libncursesw6
        libdb5.3 libnsl2 libtirpc3)
    mkdir -p "$WORK/packages" "$WORK/system"
    (cd "$WORK/packages" && apt-get download --quiet=2 "${packages[@]/%/:arm64}")
    for package in "$WORK"/packages/*.deb; do dpkg --extract "$package" "$WORK/system"; done
    .venv/bin/python -m pip download --quiet --dest "$WORK/wheels" --python-version 3.11 --implementation cp \
        --only-binary=:all: --platform manylinux_2_28_aarch64 --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 \
        numpy safetensors pytest pytest-timeout hypothesis scipy
    touch "$WORK/unpacked"
}

install_python() {
    if ! test -e "$WORK/unpacked"; then unpack_python; fi
    cat >"$WORK/python" <<SCRIPT
#!/bin/sh
exec env OPENBLAS_CORETYPE=ARMV8 LD_LIBRARY_PATH= PYTHONHOME=$WORK/system/usr PYTHONPATH=$WORK/site qemu-aarch64-static -L $WORK/system \\
    -E LD_LIBRARY_PATH=$WORK/system/lib/aarch64-linux-gnu:$WORK/system/usr/lib/aarch64-linux-gnu $WORK/system/usr/bin/python3.11 "\$@"
SCRIPT
    chmod +x "$WORK/python"
}

try_wheel() { # FILE
    install_python
    rm -rf "$WORK/site"
    for wheel in "$WORK"/wheels/*.whl "$1"; do python3 -m zipfile -e "$wheel" "$WORK/site"; done
    # Programs that tests start are emulated as well.
    echo "import sys; sys.executable = '$WORK/python'" >"$WORK/site/sitecustomize.py"
    "$WORK/python" -m fastcodes info
    QEMU_CPU=$OLDER_CPU "$WORK/python" -m fastcodes info
    # The emulator's own memory would count; metrics are numpy alone.
    local tests=("$WORK/python" -m pytest -q -p no:cacheprovider --timeout 0 -k 'not additional_memory and not metrics')
    "${tests[@]}" tests/kernels tests/contract/test_environment.py
    FASTCODES_LEVEL=portable "${tests[@]}" tests/kernels/test_bits.py tests/kernels/test_hamming.py
    QEMU_CPU=$OLDER_CPU "${tests[@]}" tests/kernels/test_rabitq.py tests/kernels/test_xnor.py
}

case "${1:-}" in
check) check ;;
test)
    core_tests --lib --tests
    QEMU_CPU=$OLDER_CPU core_tests --lib --test rabitq --test xnor --test adc
    scripts/wheels.sh build aarch64
    scripts/wheels.sh try aarch64
    ;;
wheel) try_wheel "$2" ;;
*)
    usage "$0"
    exit 2
    ;;
esac
