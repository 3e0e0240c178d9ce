# `cmake --install` puts the program, the libraries and their headers where find_package(convoy) finds them.
include(CMakePackageConfigHelpers)

get_property(rooms GLOBAL PROPERTY CONVOY_ROOMS)
install(TARGETS convoy ${rooms} EXPORT convoyTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS convoy_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
if(TARGET no_device_driver)
  install(TARGETS no_device_driver LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/convoy/no_device_driver NAMELINK_SKIP)
endif()
install(DIRECTORY include/convoy DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/convoy)
install(EXPORT convoyTargets NAMESPACE convoy:: DESTINATION ${config_dir})
configure_package_config_file(cmake/convoyConfig.cmake.in ${PROJECT_BINARY_DIR}/convoyConfig.cmake
  INSTALL_DESTINATION ${config_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/convoyConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/convoyConfig.cmake ${PROJECT_BINARY_DIR}/convoyConfigVersion.cmake
              cmake/FindOneDNN.cmake cmake/FindHighway.cmake cmake/FindCUDNN.cmake
  DESTINATION ${config_dir})
