#!/usr/bin/env bash
# Puts the five binaries, and what only tests run if it was built, into ./target/release/ when the build cache lies elsewhere. The Makefile calls it after each
# build: cargo replaces a binary by a new file, so an older link would keep showing the older build.
set -euo pipefail
cd "$(dirname "$0")/.."

built=${CARGO_TARGET_DIR:-target}/release
mkdir -p target/release
place() { # place FROM NAME
    local placed=target/release/$2
    [ "$1" -ef "$placed" ] && return
    # A hard link costs nothing, but cannot cross file systems. A copy must not write into a running binary.
    ln -f "$1" "$placed" 2>/dev/null || cp --remove-destination "$1" "$placed"
}
for binary in pact-journal pact-agent pact pact-replay pact-loadtest; do place "$built/$binary" "$binary"; done
for binary in pact-journal-previous pact-journal-planted; do
    [ ! -e "$built/$binary" ] || place "$built/$binary" "$binary"
done
for static in "${CARGO_TARGET_DIR:-target}"/static/*/release; do
    [ ! -e "$static/pact-agent" ] || place "$static/pact-agent" pact-agent-static
    [ ! -e "$static/pact-agent-planted" ] || place "$static/pact-agent-planted" pact-agent-planted
done
