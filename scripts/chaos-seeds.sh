#!/usr/bin/env bash
# Runs `pact-loadtest chaos` with one seed after another and prints a line for each: the seed, what came of it, how many calls
# and facts there were, which oracles speak. What a broken run leaves stays where its report says. Exit 5 if any promise was
# broken, 1 if a run could not be made. Needs root.
#   chaos-seeds.sh FROM TO SECONDS [FLAG OF pact-loadtest chaos]...
# BINARIES: where the binaries lie, ./target/release by default.
set -euo pipefail
[ $# -ge 3 ] || {
    sed -n '2,6s/^# //p' "$0" >&2
    exit 2
}
from=$1 to=$2 seconds=$3
shift 3
binaries=${BINARIES:-$(dirname "$0")/../target/release}
said=$(mktemp)
trap 'rm -f "$said"' EXIT

worst=0 kept=0 ran=0
for ((seed = from; seed <= to; seed++)); do
    code=0
    report=$("$binaries/pact-loadtest" chaos --seconds "$seconds" --seed "$seed" "$@" -o json 2>"$said") || code=$?
    ran=$((ran + 1))
    case $code in
    0 | 5)
        [ "$code" -eq 5 ] || kept=$((kept + 1))
        python3 -c '
import json, sys
report = json.load(sys.stdin)
calls, broken = report["calls"], [verdict["oracle"] for verdict in report["verdicts"] if verdict["broken"]]
missed = sum(1 for fault in report["timeline"] if fault["failed"])
print("seed %d: %s" % (report["seed"], "BROKEN: " + ", ".join(broken) if broken else "kept"),
    "%d faults, %d of them without effect" % (len(report["timeline"]), missed),
    "%(done)d done, %(refused)d refused, %(unknown)d unknown" % calls,
    "%d facts" % report["facts"], "recovered after %.1f s" % report["recovered_after"], sep="; ")' <<<"$report"
        [ "$code" -eq 0 ] || {
            grep 'stay in' "$said" || true
            # Beside the logs, so that what was broken can be read later.
            kept_in=$(sed -n 's/.*stay in //p' "$said")
            [ -z "$kept_in" ] || printf '%s\n' "$report" >"$kept_in/report.json"
            worst=5
        }
        ;;
    *)
        echo "seed $seed: could not be run: exit $code: $(tail -n 3 "$said" | tr '\n' ' ')"
        [ "$worst" -eq 5 ] || worst=1
        ;;
    esac
done
echo "$kept of $ran runs kept every promise"
exit "$worst"
