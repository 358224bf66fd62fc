#!/usr/bin/env bash
# check_plain.sh PLAIN_SELFTEST: the runner of tests/support/plain.h reports what happened.
set -u

program=$1
passed=0
failed=0

# expect STATUS PATTERN ARG...: the program run with ARGs ends with STATUS and prints PATTERN.
expect() {
    local status=$1 pattern=$2 output got
    shift 2
    output=$(PLAIN_TIMEOUT_S=1 "$program" "$@" 2>&1)
    got=$?
    if [ "$got" -eq "$status" ] && grep -q -- "$pattern" <<<"$output"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAILED: %s: status %d (expected %d), no "%s" in:\n%s\n' "$*" "$got" "$status" "$pattern" "$output"
    fi
}

expect 0 '^2 passed, 0 failed$' good
expect 0 '^good_check_holds  *ok' good_check_holds
expect 1 '^1 passed, 1 failed$' good_check_holds bad_check_fails
expect 1 'does not hold: 1 + 1 == 3$' bad_check_fails
expect 1 '^bad_check_on_another_thread_fails  *FAILED' bad_check_on
expect 1 '^hang_is_ended_by_the_watchdog FAILED: still running after 1 s$' hang
expect 1 '^1 passed, 1 failed$' good_check_holds hang
expect 1 '^0 passed, 0 failed$' no_test_has_this_name
expect 0 '^good_check_holds$' --list

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
