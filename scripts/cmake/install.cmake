# The library, its headers, a CMake package and a pkg-config file.
include(CMakePackageConfigHelpers)

install(TARGETS modelout EXPORT modeloutTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
                                                ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/modelout DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
# The licence, and the rules of outputs that the headers cite by their numbers.
install(FILES LICENSE docs/output_behaviour.md DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/modelout)
install(EXPORT modeloutTargets NAMESPACE modelout:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/modelout)

write_basic_package_version_file(${PROJECT_BINARY_DIR}/modeloutConfigVersion.cmake COMPATIBILITY SameMinorVersion)
configure_package_config_file(scripts/cmake/modeloutConfig.cmake.in ${PROJECT_BINARY_DIR}/modeloutConfig.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/modelout)
install(FILES ${PROJECT_BINARY_DIR}/modeloutConfig.cmake ${PROJECT_BINARY_DIR}/modeloutConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/modelout)

# Relative to where the file lies, so that an installation can be moved.
file(RELATIVE_PATH MODELOUT_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
# A shared library has its dependencies with it; a static one tells its linker what they are.
set(MODELOUT_PC_REQUIRES "")
set(MODELOUT_PC_LIBS "")
if(MODELOUT_KIND STREQUAL STATIC)
  set(MODELOUT_PC_REQUIRES "jansson libutf8proc")
  list(JOIN MODELOUT_PC_LIBRARIES " " MODELOUT_PC_LIBS)
endif()
configure_file(scripts/cmake/modelout.pc.in ${PROJECT_BINARY_DIR}/modelout.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/modelout.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
