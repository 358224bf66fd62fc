# The fuzz preset: each tests/fuzz/fuzz_NAME.c becomes build/fuzz/fuzz_NAME, and a test fuzz/NAME that lets it run for
# a few seconds from the committed corpus tests/fuzz/corpus/NAME. The target `fuzzers` builds them and what they need,
# and nothing else.
if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
  message(FATAL_ERROR "the fuzz preset needs clang: libFuzzer is a part of it")
endif()

set(TROUPE_FUZZ_SECONDS 10 CACHE STRING "How long each test of the fuzz preset looks for faults")
set(fuzz ${PROJECT_SOURCE_DIR}/tests/fuzz)

add_custom_target(fuzzers)
file(GLOB helpers CONFIGURE_DEPENDS ${fuzz}/*.c)
list(FILTER helpers EXCLUDE REGEX "/fuzz_[^/]*$")
add_library(fuzz_support STATIC EXCLUDE_FROM_ALL ${helpers} ${PROJECT_SOURCE_DIR}/tests/server/mhd_pair.c)
target_link_libraries(fuzz_support PRIVATE troupe_options PUBLIC trouped_server)

# What a target needs above the libraries of the server.
set(links_policy trouped_api)
set(links_server trouped_app)

file(GLOB programs CONFIGURE_DEPENDS ${fuzz}/fuzz_*.c)
foreach(program IN LISTS programs)
  get_filename_component(stem ${program} NAME_WE)
  string(REGEX REPLACE "^fuzz_" "" name ${stem})
  troupe_add_program(${stem} SOURCES ${program} LINKS ${links_${name}} fuzz_support)
  target_link_options(${stem} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzzers ${stem})
  add_test(NAME fuzz/${name} COMMAND ${fuzz}/run.sh ${name} ${TROUPE_FUZZ_SECONDS} ${CMAKE_BINARY_DIR}
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  math(EXPR limit "${TROUPE_FUZZ_SECONDS} + 120")
  set_tests_properties(fuzz/${name} PROPERTIES LABELS fuzz TIMEOUT ${limit})
endforeach()

# It replaces the handlers that would end processes of the service.
if(TARGET fuzz_server)
  target_link_options(fuzz_server PRIVATE -Wl,--wrap=router_create)
endif()
