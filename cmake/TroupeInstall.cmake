# Installs libtroupe for other programs: headers, the static library, pkg-config and CMake packages.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/troupe)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/runtime/include/troupe DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  COMPONENT library FILES_MATCHING PATTERN "*.h")
install(TARGETS troupe EXPORT troupe-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
install(EXPORT troupe-targets NAMESPACE troupe:: DESTINATION ${package_dir} COMPONENT library)

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/troupe-config.cmake.in
  ${PROJECT_BINARY_DIR}/cmake/troupe-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cmake/troupe-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/cmake/troupe-config.cmake
  ${PROJECT_BINARY_DIR}/cmake/troupe-config-version.cmake DESTINATION ${package_dir} COMPONENT library)

get_target_property(kind troupe TYPE)
set(TROUPE_PC_LIBS "")
if(kind STREQUAL "STATIC_LIBRARY")
  set(TROUPE_PC_LIBS "-L\${libdir} -ltroupe")
endif()
configure_file(${PROJECT_SOURCE_DIR}/cmake/troupe.pc.in ${PROJECT_BINARY_DIR}/cmake/troupe.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/cmake/troupe.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
  COMPONENT library)
