#!/usr/bin/env bash
# Builds the fuzz targets with AddressSanitizer and runs each: fuzz.sh runs NUMBER [TARGET]..., fuzz.sh seconds NUMBER
# [TARGET]... Without targets all of them. Prints a line for each; ends with 1 at the first finding, which then lies in
# fuzz/artifacts/TARGET, and says how to see it again.
#
# What a run learns lies beside what was built, not in the tree: fuzz/seeds is what is committed.
set -euo pipefail
cd "$(dirname "$0")/.."

how=${1:?runs or seconds}
much=${2:?how many}
shift 2
tools=${PACT_TOOLS_DIR:-$HOME/.cache/pact/tools}
built=${CARGO_TARGET_DIR:-$HOME/.cache/pact/target}/fuzz
case $how in
runs) limit=(-runs="$much") ;;
seconds) limit=(-max_total_time="$much") ;;
*) echo "error: $how is neither runs nor seconds" >&2 && exit 2 ;;
esac
scripts/install-cargo-fuzz.sh "$tools"

export CARGO_TARGET_DIR=$built
# The toolchain of the workspace has the sanitizer and takes its flags like this; no nightly is needed.
export RUSTC_BOOTSTRAP=1
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS
cargo_fuzz() { PATH=$tools/bin:$PATH cargo fuzz "$@"; }

cargo fetch --quiet --locked --manifest-path fuzz/Cargo.toml
cargo_fuzz build --fuzz-dir fuzz
[ $# -gt 0 ] || mapfile -t targets < <(cargo_fuzz list --fuzz-dir fuzz)
[ $# -eq 0 ] || targets=("$@")

log=$(mktemp)
trap 'rm -f "$log"' EXIT
for target in "${targets[@]}"; do
    learned=$built/corpora/$target
    mkdir -p "$learned" "fuzz/artifacts/$target"
    # 4 KB hold all that a parser tells apart; the limits beyond have tests. The clock is that of the
    # wall, and the machine may be busy; the sanitizer keeps freed memory for a while.
    if ! "$built/x86_64-unknown-linux-gnu/release/$target" "$learned" "fuzz/seeds/$target" "${limit[@]}" -max_len=4096 \
        -timeout=20 -rss_limit_mb=1024 -malloc_limit_mb=64 -print_final_stats=1 -artifact_prefix="fuzz/artifacts/$target/" >"$log" 2>&1; then
        tail -n 60 "$log" >&2
        echo "error: $target found something; see it again with: RUSTC_BOOTSTRAP=1 cargo fuzz run $target fuzz/artifacts/$target/..." >&2
        exit 1
    fi
    awk -v target="$target" '
        /cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") coverage = $(i + 1) }
        /^Done / { runs = $2; seconds = $5 }
        END { printf "%-20s %9d runs %6d s, %5d edges, no finding\n", target, runs, seconds, coverage }' "$log"
done
