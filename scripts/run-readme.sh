#!/usr/bin/env bash
# Runs what README.md promises. Each ```sh block that follows a line `<!-- run -->` is run, in order, in one shell
# from the root of the repository, each command shown before it runs. PATH begins with ./target/release and ends with
# the folder given (the judges); $PACT_DEMO_DIR is an empty directory, removed at the end with every process that the
# blocks started. Fails with the first command that fails, and when there is nothing to run.
set -euo pipefail
cd "$(dirname "$0")/.."

readme=${PACT_README:-README.md}
deadline_secs=${PACT_README_SECONDS:-600}
commands=$(mktemp)
PACT_DEMO_DIR=$(mktemp -d)
export PACT_DEMO_DIR
group=

stop() {
    if [ -n "$group" ] && kill -TERM -- "-$group" 2>/dev/null; then
        for _ in $(seq 100); do
            kill -0 -- "-$group" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL -- "-$group" 2>/dev/null || true
    fi
    rm -rf "$PACT_DEMO_DIR" "$commands"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A marker counts for the next line that is not empty, and only if that opens a ```sh block.
awk '
    inside && /^```[[:space:]]*$/ { inside = 0; print ""; next }
    inside                        { print; next }
    marked && /^```sh[[:space:]]*$/ { inside = 1; marked = 0; next }
    /^<!-- run -->[[:space:]]*$/  { marked = 1; next }
    marked && NF                  { print "a run marker without a sh block: line " NR > "/dev/stderr"; bad = 1; exit }
    END { if (inside) print "a sh block is not closed" > "/dev/stderr"; exit bad || inside }
' "$readme" >"$commands"
if ! grep -q '[^[:space:]]' "$commands"; then
    echo "error: $readme has no block marked <!-- run -->" >&2
    exit 1
fi

# Only what the README itself sets may count.
unset PACT_ENDPOINTS PACT_CA PACT_CREDENTIAL PACT_JOURNALS PACT_ENROLLMENT_TOKEN
export XDG_CONFIG_HOME=$PACT_DEMO_DIR/.config
export PATH=$PWD/target/release:$PATH${1:+:$1}

# A session of its own: all that the blocks start is in one process group, and can be stopped as one.
setsid timeout --kill-after=10 "$deadline_secs" bash -euv -o pipefail "$commands" </dev/null &
group=$!
code=0
wait "$group" || code=$?
case $code in
    0) echo "the commands of $readme work" ;;
    124) echo "error: the commands of $readme were not done after $deadline_secs s" >&2 ;;
    *) echo "error: a command of $readme failed (exit code $code)" >&2 ;;
esac
exit "$code"
