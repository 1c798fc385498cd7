#!/usr/bin/env bash
# Installs the pinned cargo-fuzz into the folder given (default ~/.cache/pact/tools), once. It is built in a target
# folder of its own, so that it never touches the cache that holds RocksDB.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.13.2
tools=${1:-$HOME/.cache/pact/tools}

[ "$("$tools/bin/cargo-fuzz" --version 2>/dev/null)" = "cargo-fuzz $version" ] && exit 0
echo "installing cargo-fuzz $version into $tools" >&2
CARGO_TARGET_DIR=$tools/target cargo install --quiet --locked --force --root "$tools" "cargo-fuzz@$version"
rm -rf "$tools/target"
