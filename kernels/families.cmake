# The kernel files and what they need on the host, for nvcc and for the tests that compile them for the host.
set(CONVOY_KERNEL_FAMILIES metrics cross_entropy optimizer batch batch_norm elementwise convert linear finite)
set(CONVOY_KERNEL_HOST_SOURCES cuda_error.cpp column_tiling.cpp)
