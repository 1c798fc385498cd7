#!/usr/bin/env bash
# Installs the Debian packages that a build, the tests and the README need. Says nothing and asks nobody when all is
# there. Rust is not installed here: which toolchain a machine has is its owner's choice.
set -euo pipefail

libclang_is_there() {
    local found
    for found in ${LIBCLANG_PATH:+"$LIBCLANG_PATH"/libclang*.so*} /usr/lib/llvm-*/lib/libclang*.so* \
        /usr/lib/*-linux-gnu/libclang*.so* /usr/lib/libclang*.so* /usr/lib64/libclang*.so*; do
        [ -e "$found" ] && return 0
    done
    return 1
}

busybox_is_static() {
    local busybox
    busybox=$(command -v busybox) && ! ldd "$busybox" >/dev/null 2>&1
}

# What is looked for is the thing itself, not the package: a machine may have it from elsewhere.
missing=()
needs() { # needs PACKAGE PROBE...
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}
needs gcc command -v cc                                   # ring, jemalloc, lz4
needs libc6-dev test -e /usr/include/stdlib.h              # linking anything; gcc only recommends it
needs g++ command -v c++                                  # RocksDB
needs make command -v make                                # jemalloc, and the Makefile
needs clang command -v clang                              # bindgen asks it where the headers lie
needs libclang-dev libclang_is_there                      # bindgen reads RocksDB's C header
needs ca-certificates test -s /etc/ssl/certs/ca-certificates.crt
needs curl command -v curl                                # README
needs openssl command -v openssl                          # README, and a judge of the certificates
needs mandoc command -v mandoc                            # a judge of the manual pages
needs python3 command -v python3                          # the judges that come from PyPI
needs faketime command -v faketime                        # tests of wrong clocks
needs iproute2 command -v ip                              # hosts of pact-loadtest chaos, and the next three
needs nftables env PATH="$PATH:/usr/sbin:/sbin" nft --version
needs util-linux command -v setpriv
needs strace command -v strace
needs qemu-system-x86 command -v qemu-system-x86_64       # tests of a machine without a disk, and the next two
needs cpio command -v cpio
needs kmod env PATH="$PATH:/usr/sbin:/sbin" modprobe --version
needs busybox-static busybox_is_static                    # tests of power cuts, and the next two
needs dmsetup env PATH="$PATH:/usr/sbin:/sbin" dmsetup version
needs e2fsprogs env PATH="$PATH:/usr/sbin:/sbin" mkfs.ext4 -V
needs python3-venv python3 -c 'import ensurepip, venv'

if [ ${#missing[@]} -gt 0 ]; then
    echo "missing Debian packages: ${missing[*]}" >&2
    if ! command -v apt-get >/dev/null; then
        echo "error: there is no apt-get here; install what these packages hold and call make again" >&2
        exit 1
    fi
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! sudo -n true 2>/dev/null; then
            echo "error: only root can install them: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
            exit 1
        fi
        as_root=(sudo -n)
    fi
    export DEBIAN_FRONTEND=noninteractive
    "${as_root[@]}" apt-get update -qq >&2
    "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
fi

if ! PATH=$HOME/.cargo/bin:$PATH command -v cargo >/dev/null; then
    cat >&2 <<'TEXT'
error: cargo is missing. Install rustup, which then fetches the toolchain that rust-toolchain.toml names:
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal
TEXT
    exit 1
fi
