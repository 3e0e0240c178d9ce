# `cmake --install` makes a folder that works wherever it is moved. Components:
#   program  convoy with its man pages and completions, and the modules that it loads: the CUDA backend's and MPI's
#   bundled  the shared libraries that these need, beside the module
#   library  what find_package(convoy) finds: headers and static libraries
#   debian   what only a .deb brings
# Not bundled are glibc, the driver and CUDA, which belong to the machine, and libstdc++ and libgcc_s: any other library in
# the process may need newer ones than ours, and there can be only one. A machine must have them at least as new.
include(CMakePackageConfigHelpers)

get_property(rooms GLOBAL PROPERTY CONVOY_ROOMS)
install(TARGETS convoy ${rooms} EXPORT convoyTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
install(DIRECTORY include/convoy DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT library FILES_MATCHING PATTERN "*.h")

if(TARGET convoy_program)
  # Every recipe there is, with the models that recipes bring.
  install(DIRECTORY apps/recipes DESTINATION ${CMAKE_INSTALL_DATADIR}/convoy COMPONENT program
    FILES_MATCHING PATTERN "*.toml" PATTERN "*.json")

  file(RELATIVE_PATH to_private /${CMAKE_INSTALL_BINDIR} /${CONVOY_PRIVATE_LIBDIR})
  # RPATH and not RUNPATH, because libraries that the bundled ones need are found by it, too.
  target_link_options(convoy_program PRIVATE -Wl,--disable-new-dtags)
  set_target_properties(convoy_program PROPERTIES INSTALL_RPATH $ORIGIN/${to_private})
  install(TARGETS convoy_program RUNTIME_DEPENDENCY_SET convoy_needs
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
endif()
if(CONVOY_MANUAL_DIR)
  install(DIRECTORY ${CONVOY_MANUAL_DIR}/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT program
    FILES_MATCHING PATTERN "*.1")
  install(FILES ${CONVOY_COMPLETION_DIR}/convoy
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT program)
  install(FILES ${CONVOY_COMPLETION_DIR}/_convoy
    DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions COMPONENT program)
  install(FILES ${CONVOY_COMPLETION_DIR}/convoy.fish
    DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d COMPONENT program)
  # Debian's zsh looks in another folder for what packages bring.
  install(FILES ${CONVOY_COMPLETION_DIR}/_convoy
    DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions COMPONENT debian EXCLUDE_FROM_ALL)
endif()
if(TARGET convoy_cuda_module)
  set_target_properties(convoy_cuda_module PROPERTIES INSTALL_RPATH $ORIGIN)
  install(TARGETS convoy_cuda_module RUNTIME_DEPENDENCY_SET convoy_needs
    LIBRARY DESTINATION ${CONVOY_PRIVATE_LIBDIR} COMPONENT program)
  install(TARGETS no_device_driver
    LIBRARY DESTINATION ${CONVOY_PRIVATE_LIBDIR}/no_device_driver COMPONENT program NAMELINK_SKIP)
endif()
if(TARGET convoy_mpi_module)
  # MPI belongs to the machine, like its mpirun.
  set_target_properties(convoy_mpi_module PROPERTIES INSTALL_RPATH $ORIGIN)
  install(TARGETS convoy_mpi_module LIBRARY DESTINATION ${CONVOY_PRIVATE_LIBDIR} COMPONENT program)
endif()
set(CONVOY_NOT_BUNDLED
  "^ld-linux" "^linux-vdso" "^lib(c|m|mvec|dl|pthread|rt|resolv|util|anl|nsl)\\.so"
  "^libstdc\\+\\+\\.so" "^libgcc_s\\.so" "^lib(cuda|cudart|cublas|cublasLt|cudnn[a-z_]*|nvrtc)\\.so")
if(TARGET convoy_program OR TARGET convoy_cuda_module)
  install(RUNTIME_DEPENDENCY_SET convoy_needs PRE_EXCLUDE_REGEXES ${CONVOY_NOT_BUNDLED}
    LIBRARY DESTINATION ${CONVOY_PRIVATE_LIBDIR} COMPONENT bundled)
endif()

set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/convoy)
install(EXPORT convoyTargets NAMESPACE convoy:: DESTINATION ${config_dir} COMPONENT library)
configure_package_config_file(cmake/convoyConfig.cmake.in ${PROJECT_BINARY_DIR}/convoyConfig.cmake
  INSTALL_DESTINATION ${config_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/convoyConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/convoyConfig.cmake ${PROJECT_BINARY_DIR}/convoyConfigVersion.cmake
              cmake/FindOneDNN.cmake cmake/FindHighway.cmake cmake/FindOnnxProto.cmake
  DESTINATION ${config_dir} COMPONENT library)
