#!/usr/bin/env bash
# Builds the wheels that a Debian x86-64 machine can build, checks and tries each, and prints what ran where.
#
#   scripts/wheels.sh                 everything below
#   scripts/wheels.sh build TARGET    one of sdist, x86_64, aarch64, musl; into dist/
#   scripts/wheels.sh try TARGET      install it and run its tests (musl has no interpreter here: it is only checked)
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/cross.sh

DIST=$PWD/dist
WORK=$PWD/target/wheels
# Interpreters that pyenv keeps are found by name as well.
if command -v pyenv >/dev/null; then
    PYENV_VERSION=$(pyenv versions --bare | paste --serial --delimiters=:)
    export PYENV_VERSION
fi

tool() { "$PWD/.venv/bin/$1" "${@:2}"; }

# Maturin asks the first Python of PATH for zig.
with_debian_rust() (
    use_debian_rust
    PATH="$PWD/.venv/bin:$PATH" "$@"
)

declare -A PATTERN=([sdist]='*.tar.gz' [x86_64]='*manylinux*x86_64.whl' [aarch64]='*manylinux*aarch64.whl' [musl]='*musllinux*.whl')

build() {
    local zig=(tool maturin build --release --zig --out "$DIST")
    tool python -m pip install --quiet ziglang auditwheel
    mkdir -p "$DIST"
    find "$DIST" -name "${PATTERN[$1]}" -delete
    export CARGO_TARGET_DIR=$WORK PATH="$PWD/.venv/bin:$PATH"
    case $1 in
    sdist) tool maturin sdist --out "$DIST" ;;
    x86_64) "${zig[@]}" --target x86_64-unknown-linux-gnu --compatibility manylinux2014 ;;
    aarch64)
        need rustc-web cargo-web libstd-rust-web-dev:arm64
        with_debian_rust "${zig[@]}" --target aarch64-unknown-linux-gnu --compatibility manylinux2014
        ;;
    musl) # the standard library is compiled from its source, by a flag that counts as unstable
        need rustc-web cargo-web rust-web-src
        RUSTC_BOOTSTRAP=1 with_debian_rust "${zig[@]}" --target x86_64-unknown-linux-musl --compatibility musllinux_1_2 \
            -Z build-std=std,panic_unwind
        ;;
    esac
}

# The interpreters among CPython 3.10, 3.11 and the newest one.
interpreters() {
    local minor found=()
    for minor in 10 11 12 13 14 15; do
        if "python3.$minor" -c '' 2>/dev/null; then found+=("python3.$minor"); fi
    done
    printf '%s\n' python3.10 python3.11 "${found[-1]}" | sort --unique
}

try_in() { # INTERPRETER FILE
    local venv=$WORK/$1
    "$1" -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$2" pytest pytest-timeout pytest-xdist hypothesis scipy
    # Away from the sources, so that the installed package is what is imported.
    (cd "$venv" && bin/python -m pytest -q -n 2 --dist loadfile -c "$OLDPWD/pyproject.toml" --rootdir "$OLDPWD" -p no:cacheprovider \
        "${@:3}")
}

try() {
    local file
    file=$(find "$DIST" -name "${PATTERN[$1]}")
    test -f "$file" || { echo "no $1 in $DIST: scripts/wheels.sh build $1" >&2; exit 1; }
    case $1 in
    sdist) try_in python3.11 "$file" "$PWD/tests/kernels/test_hamming.py" ;;
    x86_64)
        tool auditwheel show "$file" | grep --fixed-strings manylinux_2_17_x86_64
        local python pythons tests=$PWD/tests
        pythons=$(interpreters) # apart, so that its failure is one
        for python in $pythons; do
            try_in "$python" "$file" "$tests"
            tests=$PWD/tests/kernels # all tests with the oldest, those of what is compiled with the others
        done
        ;;
    aarch64)
        tool auditwheel show "$file" | grep --fixed-strings manylinux_2_17_aarch64
        scripts/aarch64.sh wheel "$file"
        ;;
    musl) # auditwheel needs a system with musl for it
        rm -rf "$WORK/musl"
        python3 -m zipfile -e "$file" "$WORK/musl"
        test "$(readelf --dynamic "$WORK/musl/fastcodes/_native.abi3.so" | grep --only-matching 'library: .*')" = 'library: [libc.so]'
        ;;
    esac
}

case "${1:-all}" in
all)
    for target in sdist x86_64 aarch64 musl; do
        build $target
        try $target
    done
    ls -lh "$DIST"
    ;;
build | try) "$1" "${2:?which target}" ;;
*)
    usage "$0"
    exit 2
    ;;
esac
