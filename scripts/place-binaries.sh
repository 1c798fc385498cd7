#!/usr/bin/env bash
# Puts the five binaries, and what only tests run if it was built, into ./target/release/ when the build cache lies elsewhere. The Makefile calls it after each
# build: cargo replaces a binary by a new file, so an older link would keep showing the older build.
set -euo pipefail
cd "$(dirname "$0")/.."

built=${CARGO_TARGET_DIR:-target}/release
mkdir -p target/release
for binary in pact-journal pact-agent pact pact-replay pact-loadtest pact-journal-previous pact-journal-planted; do
    placed=target/release/$binary
    case $binary in pact-journal-*) [ -e "$built/$binary" ] || continue ;; esac
    [ "$built/$binary" -ef "$placed" ] && continue
    # A hard link costs nothing, but cannot cross file systems. A copy must not write into a running binary.
    ln -f "$built/$binary" "$placed" 2>/dev/null || cp --remove-destination "$built/$binary" "$placed"
done
