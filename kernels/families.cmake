# The kernel files (a .cu file is a family) and what they need on the host, for nvcc and for the tests that compile them for
# the host.
file(GLOB CONVOY_KERNEL_FAMILIES RELATIVE ${CMAKE_CURRENT_LIST_DIR} CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.cu)
list(TRANSFORM CONVOY_KERNEL_FAMILIES REPLACE "\\.cu$" "")
set(CONVOY_KERNEL_HOST_SOURCES cuda_error.cpp column_tiling.cpp conv_weight_tiling.cpp)
