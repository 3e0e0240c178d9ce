# CUDA is found, not required. Sets CONVOY_CUDA, and enables the language where there is a toolkit; the toolkit's
# headers alone (CUDAToolkit_FOUND) are enough for the tests that run kernels on the host.
option(CONVOY_CUDA "Build the CUDA kernels and backend where a CUDA 13 toolkit is found (in preparation)" OFF)
set(CONVOY_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90-real 100-real 120
    CACHE STRING "GPU architectures to compile for; the last one brings PTX for newer GPUs")

find_package(CUDAToolkit 13 QUIET)
find_package(CUDNN 9 QUIET)
if(CONVOY_CUDA AND CUDAToolkit_NVCC_EXECUTABLE)
  if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
    set(CMAKE_CUDA_COMPILER ${CUDAToolkit_NVCC_EXECUTABLE})  # found where it is installed, on PATH or not
  endif()
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES ${CONVOY_CUDA_ARCHITECTURES})
  endif()
  if(NOT CMAKE_CUDA_HOST_COMPILER AND NOT DEFINED ENV{CUDAHOSTCXX})
    set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER})
  endif()
  enable_language(CUDA)
  # CMake 3.25 does not know that nvcc speaks C++20.
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  set(CMAKE_CUDA_EXTENSIONS OFF)
  set(CONVOY_HAVE_CUDA ON)
else()
  set(CONVOY_HAVE_CUDA OFF)
endif()
