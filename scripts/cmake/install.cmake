# The library, its headers, a CMake package and a pkg-config file.
include(CMakePackageConfigHelpers)

install(TARGETS modelout EXPORT modeloutTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/modelout DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(EXPORT modeloutTargets NAMESPACE modelout:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/modelout)

write_basic_package_version_file(${CMAKE_BINARY_DIR}/modeloutConfigVersion.cmake COMPATIBILITY SameMinorVersion)
configure_package_config_file(scripts/cmake/modeloutConfig.cmake.in ${CMAKE_BINARY_DIR}/modeloutConfig.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/modelout)
install(FILES ${CMAKE_BINARY_DIR}/modeloutConfig.cmake ${CMAKE_BINARY_DIR}/modeloutConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/modelout)

# Relative to where the file lies, so that an installation can be moved.
file(RELATIVE_PATH MODELOUT_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(scripts/cmake/modelout.pc.in ${CMAKE_BINARY_DIR}/modelout.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/modelout.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
