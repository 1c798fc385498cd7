#!/usr/bin/env bash
# Installs the judges of judges.txt into a Python environment of their own (default ~/.cache/pact/venv), once, and
# again when judges.txt has changed. Tests call them in its bin/: lint_pkix_cert, grpcurl.
set -euo pipefail
cd "$(dirname "$0")"

venv=${1:-$HOME/.cache/pact/venv}
stamp=$venv/judges.txt

if cmp -s judges.txt "$stamp" && [ -x "$venv/bin/lint_pkix_cert" ] && "$venv/bin/python3" -c '' 2>/dev/null; then
    exit 0
fi
echo "installing the judges of judges.txt into $venv" >&2
python3 -m venv --clear "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement judges.txt

# An environment that cannot run them is not finished; the stamp comes last.
"$venv/bin/grpcurl" -version >/dev/null 2>&1
"$venv/bin/lint_pkix_cert" validations >/dev/null
cp judges.txt "$stamp"
