#!/usr/bin/env bash
# check_install.sh BUILD_DIR EXAMPLES_DIR: installs libtroupe into an empty folder and builds an example with it,
# once through pkg-config and once through the CMake package; then the service with its manual page.
set -eu

build=$1
examples=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

DESTDIR='' cmake --install "$build" --prefix "$work/prefix" --component library >/dev/null
pc_dir=$(dirname "$(find "$work/prefix" -name troupe.pc)")
export PKG_CONFIG_PATH=$pc_dir

set -- "$examples"/*.c
example=$1
# shellcheck disable=SC2046 # the flags are words
${CC:-cc} -std=gnu17 "$example" $(pkg-config --cflags --libs troupe) -o "$work/by_pkg_config"
"$work/by_pkg_config" >/dev/null
echo "pkg-config: $(basename "$example") built and ran"

mkdir "$work/consumer"
cat >"$work/consumer/CMakeLists.txt" <<TEXT
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES C)
find_package(troupe REQUIRED)
add_executable(consumer "$example")
target_link_libraries(consumer PRIVATE troupe::troupe)
TEXT
generator=$(sed -n 's/^CMAKE_GENERATOR:INTERNAL=//p' "$build/CMakeCache.txt")
cmake -G "$generator" -S "$work/consumer" -B "$work/consumer/build" -DCMAKE_PREFIX_PATH="$work/prefix" >/dev/null
cmake --build "$work/consumer/build" >/dev/null
"$work/consumer/build/consumer" >/dev/null
echo "CMake package: $(basename "$example") built and ran"

DESTDIR='' cmake --install "$build" --prefix "$work/service" --component service >/dev/null
"$work/service/bin/trouped" --help-man | cmp - "$(find "$work/service" -path '*/man1/trouped.1')"
echo "service: its manual page is the one it prints"
echo "3 passed, 0 failed"
