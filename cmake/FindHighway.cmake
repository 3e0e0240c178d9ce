# Finds Google Highway: the target hwy::hwy, and Highway_VERSION. By its own package file, or by pkg-config where a
# distribution leaves that out. For one elsewhere: -DCMAKE_PREFIX_PATH=<its root>.
find_package(hwy CONFIG QUIET)
set(Highway_VERSION ${hwy_VERSION})
if(NOT TARGET hwy::hwy)
  find_package(PkgConfig QUIET)
  if(PKG_CONFIG_FOUND)
    pkg_check_modules(libhwy QUIET IMPORTED_TARGET libhwy)
  endif()
  if(libhwy_FOUND)
    set(Highway_VERSION ${libhwy_VERSION})
    add_library(hwy::hwy INTERFACE IMPORTED)
    target_link_libraries(hwy::hwy INTERFACE PkgConfig::libhwy)
  endif()
endif()

set(Highway_TARGET)
if(TARGET hwy::hwy)
  set(Highway_TARGET hwy::hwy)
  # Loops keep vectors in arrays, which SVE's vectors of unknown size cannot be in: on ARM all of them take NEON.
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    set_property(TARGET hwy::hwy APPEND PROPERTY INTERFACE_COMPILE_DEFINITIONS
      "HWY_DISABLED_TARGETS=(HWY_SVE|HWY_SVE2|HWY_SVE_256|HWY_SVE2_128)")
  endif()
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Highway REQUIRED_VARS Highway_TARGET VERSION_VAR Highway_VERSION)
