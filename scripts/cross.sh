# shellcheck shell=bash
# What the scripts for other platforms share. Sourced with the working directory at the root of the project.

# Installs Debian packages that are missing; elsewhere says which ones to get.
need() {
    local missing=() package
    for package in "$@"; do
        dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "missing Debian packages: ${missing[*]}" >&2
        return 1
    fi
    dpkg --add-architecture arm64
    apt-get update --quiet=2
    DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}" >/dev/null
}

# Debian's compiler, whose standard libraries for other targets are packages; rustup's stays the default of the shell.
use_debian_rust() {
    export PATH="/usr/bin:$PATH" CARGO=/usr/bin/cargo RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc
}

# Prints the comment at the head of a script.
usage() {
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$1" >&2
}
