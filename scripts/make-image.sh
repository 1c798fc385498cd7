#!/usr/bin/env bash
# Makes the image of a diskless node: an initramfs with the static agent as its first process, the domain CA, and the
# kernel modules that it needs, in the order in which they are loaded. Nothing else is needed in it.
#   make-image.sh --agent FILE --ca FILE --modules ROOT [--module 'NAME [PARAMETERS]']... [--add SOURCE:TARGET]... --out FILE
# ROOT holds lib/modules/VERSION with modules.dep, as depmod leaves it; a system's own is /.
set -euo pipefail

usage() {
    sed -n '2,5s/^# //p' "$0" >&2
    exit 2
}
agent='' ca='' root='' out='' modules=() added=()
while [ $# -gt 1 ]; do
    case $1 in
    --agent) agent=$2 ;;
    --ca) ca=$2 ;;
    --modules) root=$2 ;;
    --module) modules+=("$2") ;;
    --add) added+=("$2") ;;
    --out) out=$2 ;;
    *) usage ;;
    esac
    shift 2
done
[ $# -eq 0 ] && [ -n "$agent" ] && [ -n "$ca" ] && [ -n "$root" ] && [ -n "$out" ] || usage

image=$(mktemp -d)
trap 'rm -rf "$image"' EXIT
mkdir -p "$image"/{dev,etc/pact,lib/pact-modules,proc,run,sys,tmp}
install -m 0755 "$agent" "$image/init"
install -m 0644 "$ca" "$image/etc/pact/domain-ca.pem"

version=$(basename "$root"/lib/modules/*)
for wanted in ${modules[@]+"${modules[@]}"}; do
    read -r name parameters <<<"$wanted"
    # What a module needs comes before it; only itself gets the parameters.
    modprobe -d "$root" -S "$version" --show-depends "$name" | awk '$1 == "insmod" { print $2 }' | while read -r file; do
        target=/lib/pact-modules/$(basename "$file")
        grep -q "^$target\( \|$\)" "$image/etc/pact/modules" 2>/dev/null && continue
        install -m 0644 "$file" "$image$target"
        its=''
        [ "$(basename "${file%%.ko*}" | tr - _)" != "$(tr - _ <<<"$name")" ] || its=$parameters
        echo "$target $its" | sed 's/ *$//' >>"$image/etc/pact/modules"
    done
done
for pair in ${added[@]+"${added[@]}"}; do
    install -D "${pair%%:*}" "$image/${pair#*:}"
done
(cd "$image" && find . -print0 | sort -z | cpio --null --create --format=newc --owner=0:0 --quiet) | gzip -1 >"$out"
