#!/usr/bin/env bash
# Shows that `pact-loadtest chaos` finds bugs: each one that is planted must be found within ten seeds, without one the same
# binary must break no promise. `make chaos-planted` builds what is needed and calls it. Needs root.
# Usage: chaos-planted.sh BINARIES [BUG...]
set -euo pipefail
binaries=$1
shift

# Which faults bring a bug out, and for how long.
declare -A faults=(
    [answer-before-commit]=partition,kill
    [skip-version-check]=kill,transfer
    [serve-stale]=partition
    [forget-vote]=kill,partition
    [drop-revocation]=kill,pause
    [sign-before-announced]=kill,restart-all
    [none]=kill,pause,partition
)
declare -A seconds=([serve-stale]=40 [forget-vote]=40)
bugs=("$@")
[ ${#bugs[@]} -gt 0 ] || bugs=(answer-before-commit skip-version-check serve-stale forget-vote drop-revocation sign-before-announced none)

run() { # run BUG SEED: prints the oracles that are broken, between commas
    local report code=0
    [ "$1" = none ] && unset PACT_PLANTED_BUG || export PACT_PLANTED_BUG=$1
    report=$("$binaries/pact-loadtest" chaos --journal-program "$binaries/pact-journal-planted" \
        --seconds "${seconds[$1]:-25}" --faults "${faults[$1]}" --seed "$2" -o json 2>"${TMPDIR:-/tmp}/chaos-planted.$$.err") || code=$?
    case $code in
    0) ;;
    5) python3 -c 'import json,sys; print(", ".join(v["oracle"] for v in json.load(sys.stdin)["verdicts"] if v["broken"]))' <<<"$report" ;;
    *)
        tail -n 20 "${TMPDIR:-/tmp}/chaos-planted.$$.err" >&2
        echo "error: seed $2 with the bug $1 could not be run: exit $code" >&2
        exit 1
        ;;
    esac
}

missed=0
for bug in "${bugs[@]}"; do
    found=
    for seed in 1 2 3 4 5 6 7 8 9 10; do
        found=$(run "$bug" "$seed")
        [ -z "$found" ] || break
        [ "$bug" != none ] || [ "$seed" -lt 2 ] || break
    done
    if [ "$bug" = none ]; then
        [ -z "$found" ] && echo "no bug: no promise is broken" || { echo "no bug, and seed $seed breaks: $found"; missed=1; }
    elif [ -n "$found" ]; then
        echo "$bug: found by seed $seed: $found"
    else
        echo "$bug: NOT found by ten seeds"
        missed=1
    fi
done
rm -f "${TMPDIR:-/tmp}/chaos-planted.$$.err"
exit "$missed"
