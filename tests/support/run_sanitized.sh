#!/usr/bin/env bash
# run_sanitized.sh asan|tsan COMMAND [ARG...]
#
# Runs COMMAND with sanitizer reports going to files, prints them and fails if there are any. A test program
# that forks (Criterion does for each test, the HTTP tests start a service) loses the status of its children;
# the report files do not get lost.
set -u

kind=$1
shift
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
reports=$(mktemp -d) || exit 1
trap 'rm -rf "$reports"' EXIT

launcher=()
case $kind in
asan)
    leak_options=print_suppressions=0
    if [ -f "$here/lsan.supp" ]; then
        leak_options+=":suppressions=$here/lsan.supp"
    fi
    export ASAN_OPTIONS="log_path=$reports/asan:detect_leaks=1:strict_string_checks=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
    export LSAN_OPTIONS="$leak_options${LSAN_OPTIONS:+:$LSAN_OPTIONS}"
    export UBSAN_OPTIONS="log_path=$reports/ubsan:print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"
    ;;
tsan)
    options="log_path=$reports/tsan:second_deadlock_stack=1:history_size=4"
    if [ -f "$here/tsan.supp" ]; then
        options+=":suppressions=$here/tsan.supp:print_suppressions=0"
    fi
    export TSAN_OPTIONS="$options${TSAN_OPTIONS:+:$TSAN_OPTIONS}"
    # gcc 12's runtime refuses address layouts with more than 28 random bits, which newer kernels use.
    bits=$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 32)
    if [ "$bits" -gt 28 ] && setarch -R true 2>/dev/null; then
        launcher=(setarch -R)
    fi
    ;;
*)
    echo "run_sanitized.sh: unknown kind '$kind'" >&2
    exit 64
    ;;
esac

"${launcher[@]}" "$@"
status=$?

shopt -s nullglob
found=0
for report in "$reports"/*; do
    if [ -s "$report" ]; then
        found=$((found + 1))
        printf '=== sanitizer report %s\n' "$(basename "$report")"
        head -c 20000 "$report"
    fi
done
if [ "$found" -gt 0 ]; then
    printf '%d sanitizer report(s): FAILED\n' "$found"
    exit 99
fi
exit "$status"
