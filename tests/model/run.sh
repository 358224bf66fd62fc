#!/usr/bin/env bash
# run.sh [--small] [NAME...]: checks the models of this folder with spin (all without names).
#
# Each must hold as it is, and spin must find an error in each of its mutations (with --small: in the first two).
# With --small bounds it takes seconds; without, minutes and up to 10 GB of memory. The last line adds up.
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
room=$(mktemp -d) || exit 1
trap 'rm -rf "$room"' EXIT
memory_mb=10000
passed=0
failed=0

# search NAME FLAG...: one exhaustive search. Sets errors and states; both are empty when it did not come to its end.
search() {
    local name=$1 output
    shift
    errors='' states=''
    cp "$here/$name.pml" "$room/model.pml" &&
        (cd "$room" && spin -a "$@" model.pml) >"$room/log" 2>&1 &&
        (cd "$room" && gcc -w -O2 -DSAFETY -DCOLLAPSE -DMEMLIM=$memory_mb -o pan pan.c) >>"$room/log" 2>&1 || return
    output=$(cd "$room" && ./pan -m100000 -w22 2>&1)
    printf '%s\n' "$output" >>"$room/log"
    grep -qE 'out of memory|max search depth too small|Search not completed|placed incorrectly' <<<"$output" &&
        ! grep -q 'errors: [1-9]' <<<"$output" && return
    errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' <<<"$output")
    states=$(sed -n 's/ *\([0-9.e+]*\) states, stored.*/\1/p' <<<"$output")
}

# outcome TITLE HOLDS: counts it and says it.
outcome() {
    if [ "$2" = yes ]; then
        passed=$((passed + 1))
        printf '%s\n' "$1"
    else
        failed=$((failed + 1))
        printf 'FAILED: %s\n' "$1"
        tail -n 20 "$room/log"
    fi
}

check() {
    local name=$1 mutation holds
    search "$name" "${flags[@]}"
    [ "$errors" = 0 ] && holds=yes || holds=no
    outcome "$name: ${states:-no} states, ${errors:-?} errors" $holds
    for mutation in $(grep -oE '^ \* MUTATION_[0-9]+:' "$here/$name.pml" | grep -oE 'MUTATION_[0-9]+'); do
        [ "$small" = no ] || [[ $mutation == MUTATION_[12] ]] || continue
        search "$name" "${flags[@]}" "-D$mutation"
        [ "${errors:-0}" != 0 ] && holds=yes || holds=no
        outcome "$name $mutation: an error after ${states:-no} states" $holds
    done
}

small=no
flags=()
if [ "${1:-}" = --small ]; then
    small=yes
    flags=(-DSMALL)
    shift
fi
if [ $# -eq 0 ]; then
    for file in "$here"/*.pml; do
        set -- "$@" "$(basename "$file" .pml)"
    done
fi
for name in "$@"; do
    check "$name"
done
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
