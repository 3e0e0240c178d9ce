# What was found, and what its absence costs.
message(STATUS "Convoy ${PROJECT_VERSION}, ${CMAKE_BUILD_TYPE}")
if(CONVOY_HAS_CPU_BACKEND)
  message(STATUS "  CPU backend:   oneDNN ${dnnl_VERSION}")
else()
  message(STATUS "  CPU backend:   none (install libdnnl-dev and an OpenMP compiler); the reference backend remains")
endif()
message(STATUS "  CUDA backend:  none")
