# `cpack` makes a .tar.gz with the bundled libraries, for machines without packages of ours, and a .deb that depends on
# the system's instead. CUDA's libraries are in neither. What a .deb depends on is found by dpkg-shlibdeps and file.
find_program(CONVOY_SHLIBDEPS dpkg-shlibdeps)
find_program(CONVOY_FILE file)
mark_as_advanced(CONVOY_SHLIBDEPS CONVOY_FILE)
set(CPACK_GENERATOR TGZ)
if(CONVOY_SHLIBDEPS AND CONVOY_FILE)
  list(APPEND CPACK_GENERATOR DEB)
endif()
set(CPACK_PACKAGE_CONTACT "The maintainers of Convoy <maintainers@convoy.invalid>")
set(CPACK_PACKAGE_VENDOR Convoy)
string(TOLOWER ${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR} platform)
set(CPACK_PACKAGE_FILE_NAME ${PROJECT_NAME}-${PROJECT_VERSION}-${platform})
set(CPACK_STRIP_FILES ON)
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS ca-certificates)
if(CONVOY_HAS_CUDA_BACKEND)
  set(CPACK_DEBIAN_PACKAGE_SUGGESTS libcudnn9-cuda-13)
  # The program runs without these, so they are no dependencies; dpkg-shlibdeps only has to see them.
  get_filename_component(cudnn_folder ${CUDNN_LIBRARY} DIRECTORY)
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CUDAToolkit_LIBRARY_DIR} ${cudnn_folder})
endif()

# Which components a package has; cpack reads this once for each kind.
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/CPackComponents.cmake @ONLY CONTENT [[
set(CPACK_INSTALL_CMAKE_PROJECTS "@PROJECT_BINARY_DIR@;convoy;program;/")
if(CPACK_GENERATOR STREQUAL TGZ)
  list(APPEND CPACK_INSTALL_CMAKE_PROJECTS "@PROJECT_BINARY_DIR@;convoy;bundled;/")
else()
  list(APPEND CPACK_INSTALL_CMAKE_PROJECTS "@PROJECT_BINARY_DIR@;convoy;debian;/")
endif()
]])
set(CPACK_PROJECT_CONFIG_FILE ${PROJECT_BINARY_DIR}/CPackComponents.cmake)
include(CPack)
