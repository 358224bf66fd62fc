#!/usr/bin/env bash
# run.sh FILE...            trace(s) on stdout; with several files each is preceded by "=== FILE"
# SCHED=n                   number of BEAM schedulers (default 2)
# Needs: erl, erlc (Debian: erlang-base), elixir (Debian: elixir), python3.
set -e
here=$(cd "$(dirname "$0")" && pwd)
build=${ORACLE_BUILD:-${TMPDIR:-/tmp}/troupe-oracle-$(id -u)}
mkdir -p "$build"
for m in puppet puppet_sf puppet_bare; do
    if [ ! -f "$build/$m.beam" ] || [ "$here/$m.erl" -nt "$build/$m.beam" ]; then
        t=$(mktemp -d "$build/XXXXXX"); erlc -o "$t" "$here/$m.erl" >&2; mv "$t/$m.beam" "$build/$m.beam"; rmdir "$t"
    fi
done
if [ -z "$ELIXIR_EBIN" ]; then
    for d in /usr/lib/elixir/lib/elixir/ebin /usr/local/lib/elixir/lib/elixir/ebin; do
        [ -d "$d" ] && ELIXIR_EBIN=$d
    done
    [ -n "$ELIXIR_EBIN" ] || ELIXIR_EBIN=$(elixir -e 'IO.puts(:code.lib_dir(:elixir, :ebin))')
fi
tmp=$(mktemp -d "${TMPDIR:-/tmp}/oracle.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
i=0; set -- "$@"
: > "$tmp/map"
for f in "$@"; do i=$((i+1)); printf '%s\n%s\n' "$f" "$tmp/$i.t" >> "$tmp/map"; done
xargs -d '\n' python3 "$here/translate.py" < "$tmp/map"
j=0; a=""
while [ $j -lt $i ]; do j=$((j+1)); a="$a $tmp/$j.t=$tmp/$j.o"; done
n=${SCHED:-2}
erl +S "$n:$n" +sbwt none -noshell -noinput -pa "$build" "$ELIXIR_EBIN" -s puppet main -extra $a </dev/null >&2
j=0
for f in "$@"; do
    j=$((j+1)); [ $i -gt 1 ] && echo "=== $f"
    cat "$tmp/$j.o"
done
