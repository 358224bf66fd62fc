#!/usr/bin/env bash
# run.sh NAME SECONDS|minimize [BUILD_DIR]
#
# Lets the target NAME look for faults, from the committed corpus tests/fuzz/corpus/NAME and from what earlier runs
# found (BUILD_DIR/corpus/NAME, where new inputs go). An input that breaks it goes to BUILD_DIR/crashes, with the
# command that shows it again, and the status is 1. "minimize" adds to the committed corpus the fewest small inputs
# of BUILD_DIR/corpus/NAME that reach code the committed ones do not.
set -euo pipefail

name=$1
what=$2
build=${3:-build/fuzz}
here=tests/fuzz
input_bytes_max=1024
corpus_bytes_max=150000

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
program=$build/fuzz_$name
seeds=$here/corpus/$name
found=$build/corpus/$name
crashes=$build/crashes
log=$build/fuzz_$name.log
export ASAN_OPTIONS="allow_addr2line=1:strict_string_checks=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
export UBSAN_OPTIONS="print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"

[ -x "$program" ] || { echo "run.sh: no target $program" >&2; exit 64; }
mkdir -p "$seeds" "$found" "$crashes"

TMPDIR=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
trap 'rm -rf "$TMPDIR"' EXIT
export TMPDIR

if [ "$what" = minimize ]; then
    small=$(mktemp -d)
    find "$found" -type f -size -"$((input_bytes_max + 1))"c -exec cp -t "$small" {} +
    before=$(find "$seeds" -type f | wc -l)
    # Edges without their counts: enough to start from, and few files.
    "$program" -set_cover_merge=1 -use_counters=0 "$seeds" "$small" >"$log" 2>&1 || {
        tail -n 30 "$log"
        exit 1
    }
    bytes=$(find "$seeds" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum + 0 }')
    echo "fuzz $name: $(($(find "$seeds" -type f | wc -l) - before)) inputs added, $bytes bytes in all"
    [ "$bytes" -le "$corpus_bytes_max" ] || { echo "fuzz $name: that is too much for the repository" >&2; exit 1; }
    exit 0
fi

options=(-max_total_time="$what" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$crashes/$name-")
dict=$here/${name%_mhd}.dict
[ ! -f "$dict" ] || options+=(-dict="$dict")
marker=$(mktemp)
status=0
"$program" "${options[@]}" "$found" "$seeds" >"$log" 2>&1 || status=$?
runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
speed=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
added=$(sed -n 's/^stat::new_units_added: *//p' "$log")
edges=$(sed -n 's/^#[0-9]*.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
echo "fuzz $name: ${runs:-0} runs, ${speed:-0} a second, ${edges:-0} edges, ${added:-0} new inputs"
if [ "$status" -ne 0 ]; then
    grep -v -E '^#[0-9]+|^stat::|^INFO:' "$log" | head -c 12000
    crash=$(find "$crashes" -type f -name "$name-*" -newer "$marker" | head -n 1)
    echo "fuzz $name: FAILED; the whole log is $log"
    [ -z "$crash" ] || echo "to see it again: $program $crash"
    exit 1
fi
