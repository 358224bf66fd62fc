# What every object of this repository is compiled with, as one interface target: troupe_options.
#
# Hardening follows the OpenSSF list as far as gcc 12 knows it, with these choices:
#  - no -fcf-protection: the runtime switches stacks by hand, and a shadow stack would not follow it;
#  - stack clash protection stays on: it is what makes the guard page under a process stack reliable;
#  - -fPIE instead of -fPIC: libtroupe is linked into executables, and its thread-local variables are
#    reached without a call that way.
include(CheckCCompilerFlag)
include(CheckLinkerFlag)

add_library(troupe_options INTERFACE)

# Adds to troupe_options those of the given compiler flags that this compiler knows.
function(troupe_options_try)
  foreach(flag IN LISTS ARGN)
    string(MAKE_C_IDENTIFIER "TROUPE_HAVE${flag}" have)
    check_c_compiler_flag(${flag} ${have})
    if(${have})
      target_compile_options(troupe_options INTERFACE ${flag})
    endif()
  endforeach()
endfunction()

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)

# The empty value lets a file say #define _GNU_SOURCE for itself as well.
target_compile_definitions(troupe_options INTERFACE _GNU_SOURCE= TROUPE_VERSION="${PROJECT_VERSION}")
target_compile_options(troupe_options INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wvla
  -Wformat=2 -Wimplicit-fallthrough -Werror=format-security
  -fno-omit-frame-pointer
  -fmacro-prefix-map=${CMAKE_SOURCE_DIR}/=
  -fPIE)
target_link_options(troupe_options INTERFACE -pie)

if(TROUPE_SIMULATION)
  target_compile_definitions(troupe_options INTERFACE TROUPE_SIMULATION)
endif()

if(TROUPE_WERROR)
  target_compile_options(troupe_options INTERFACE -Werror)
endif()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|i.86")
  troupe_options_try(-fcf-protection=none)
endif()

if(TROUPE_SANITIZE STREQUAL "asan")
  set(flags -fsanitize=address,undefined -fno-sanitize-recover=all)
elseif(TROUPE_SANITIZE STREQUAL "tsan")
  set(flags -fsanitize=thread)
elseif(TROUPE_SANITIZE STREQUAL "fuzz")
  # The main program of libFuzzer is linked into the targets only, by TroupeFuzz.cmake.
  set(flags -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all)
elseif(TROUPE_SANITIZE STREQUAL "")
  set(flags "")
else()
  message(FATAL_ERROR "TROUPE_SANITIZE is '${TROUPE_SANITIZE}': it can be empty, asan, tsan or fuzz")
endif()

if(flags)
  target_compile_options(troupe_options INTERFACE ${flags})
  target_link_options(troupe_options INTERFACE ${flags})
  if(TROUPE_SANITIZE STREQUAL "asan" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    # As a shared library beside that of ASan it would write its reports to stderr, wherever they were sent.
    target_link_options(troupe_options INTERFACE -static-libubsan)
  endif()
  # The instrumentation hides from gcc that a variable is always set; the other builds judge that.
  troupe_options_try(-Wno-maybe-uninitialized)
else()
  # Not under UBSan: with a defined meaning, an overflow would no longer be reported.
  target_compile_options(troupe_options INTERFACE -fno-strict-overflow -fno-delete-null-pointer-checks)
endif()

if(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_options(troupe_options INTERFACE
    -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong)
  troupe_options_try(-fstack-clash-protection -ftrivial-auto-var-init=zero)
  foreach(flag -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,nodlopen -Wl,--as-needed)
    string(MAKE_C_IDENTIFIER "TROUPE_HAVE${flag}" have)
    check_linker_flag(C ${flag} ${have})
    if(${have})
      target_link_options(troupe_options INTERFACE ${flag})
    endif()
  endforeach()
endif()
