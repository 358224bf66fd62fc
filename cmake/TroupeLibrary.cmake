# The libraries of the rooms and the service itself.

# troupe_add_library(NAME SOURCES ... LINKS ...)
# A static library of SOURCES that may include from the root of the repository, linked with LINKS; with no
# SOURCES an interface library, so that a room that is still empty can be linked with all the same.
function(troupe_add_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINKS")
  if(arg_SOURCES)
    add_library(${name} STATIC ${arg_SOURCES})
    target_link_libraries(${name} PRIVATE $<BUILD_INTERFACE:troupe_options> PUBLIC ${arg_LINKS})
    # What is not static is in a header. Tests are free of this.
    target_compile_options(${name} PRIVATE
      $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes;-Wundef;-Wpointer-arith;-Wwrite-strings>)
    set(scope PUBLIC)
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE ${arg_LINKS})
    set(scope INTERFACE)
  endif()
  target_include_directories(${name} ${scope} $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
endfunction()

# troupe_add_program(NAME SOURCES ... LINKS ... DIRECTORY sub)
# An executable in the build directory, or in its folder DIRECTORY.
function(troupe_add_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "DIRECTORY;OUTPUT" "SOURCES;LINKS")
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE troupe_options ${arg_LINKS})
  if(arg_DIRECTORY)
    set_target_properties(${name} PROPERTIES
      RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/${arg_DIRECTORY})
  endif()
  if(arg_OUTPUT)
    set_target_properties(${name} PROPERTIES OUTPUT_NAME ${arg_OUTPUT})
  endif()
endfunction()

# The composition root: server/app.c knows both rooms, so it stands above the two libraries, and
# server/main.c turns it into the program.
function(troupe_add_service)
  file(GLOB app CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/server/app.c)
  file(GLOB main CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/server/main.c)
  troupe_add_library(trouped_app SOURCES ${app} LINKS trouped_api trouped_server)
  if(main)
    troupe_add_program(trouped SOURCES ${main} LINKS trouped_app)
    install(TARGETS trouped RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT service)
    # The manual page comes from the program itself, so there is none where the program cannot run.
    if(NOT CMAKE_CROSSCOMPILING)
      set(manual ${CMAKE_BINARY_DIR}/man/trouped.1)
      add_custom_command(TARGET trouped POST_BUILD
        COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/man
        COMMAND $<TARGET_FILE:trouped> --help-man > ${manual}
        BYPRODUCTS ${manual} VERBATIM)
      install(FILES ${manual} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT service)
    endif()
  endif()
endfunction()
