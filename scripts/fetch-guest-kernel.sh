#!/usr/bin/env bash
# Fetches the kernel that tests boot a diskless machine with: Debian's cloud kernel, unpacked, never installed. Prints
# where it lies. It is kept beside the build cache and not fetched again.
#   fetch-guest-kernel.sh [FOLDER]        default: ~/.cache/pact/guest-kernel
set -euo pipefail

folder=${1:-$HOME/.cache/pact/guest-kernel}
if [ ! -e "$folder/complete" ]; then
    package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-[0-9]/ { print $2; exit }')
    [ -n "$package" ] || {
        echo "error: no linux-image-cloud-amd64 is known here; try apt-get update" >&2
        exit 1
    }
    # Aside first: who looks for the kernel meanwhile finds all of it or nothing.
    mkdir -p "$(dirname "$folder")"
    unpacked=$(mktemp -d "$folder.XXXXXX")
    trap 'rm -rf "$unpacked"' EXIT
    (cd "$unpacked" && apt-get download -qq "$package" >&2 && dpkg-deb -x ./*.deb . && rm ./*.deb)
    version=$(basename "$unpacked"/lib/modules/*)
    depmod -b "$unpacked" "$version"
    mv "$unpacked/boot/vmlinuz-$version" "$unpacked/vmlinuz"
    echo "$version" >"$unpacked/complete"
    rm -rf "$folder"
    mv "$unpacked" "$folder"
    trap - EXIT
fi
echo "$folder"
