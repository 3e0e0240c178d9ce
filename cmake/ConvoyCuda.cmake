# CUDA is found, not required. Sets CONVOY_HAVE_CUDA (nvcc compiles the kernels) and CONVOY_HAS_CUDA_BACKEND (cuDNN is
# there, too), or CONVOY_CUDA_MISSING: what to install. The toolkit's headers alone (CUDAToolkit_FOUND) are enough for
# the tests that run kernels on the host.
option(CONVOY_CUDA "Build the CUDA kernels and backend where a CUDA 13 toolkit is found" ON)
# Every GPU of CUDA 13: machine code runs within a major number, PTX on what is newer.
set(CONVOY_RELEASE_ARCHITECTURES 75-real 80-real 86-real 89-real 90-real 100-real 110-real 120)
set(CONVOY_CUDA_ARCHITECTURES "${CONVOY_RELEASE_ARCHITECTURES}"
    CACHE STRING "GPU architectures to compile for; the last one brings PTX for newer GPUs. native: this machine's")
set(CONVOY_OLDEST_CUDNN 9.11)  # below it NVIDIA's own tests leave out plans that are made without a device
set(CONVOY_HAVE_CUDA OFF)
set(CONVOY_HAS_CUDA_BACKEND OFF)

find_package(CUDAToolkit 13 QUIET)
find_package(CUDNN ${CONVOY_OLDEST_CUDNN} QUIET)
# NCCL's header alone: the library is loaded when several processes train.
find_path(NCCL_INCLUDE_DIR nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
mark_as_advanced(NCCL_INCLUDE_DIR)
find_package(Python3 QUIET COMPONENTS Interpreter)  # reads what ptxas says of every kernel
if(NOT CONVOY_CUDA)
  set(CONVOY_CUDA_MISSING "CONVOY_CUDA is off")
elseif(NOT CUDAToolkit_NVCC_EXECUTABLE)
  set(CONVOY_CUDA_MISSING "install the CUDA toolkit 13 and cuDNN ${CONVOY_OLDEST_CUDNN} or newer")
elseif(NOT Python3_FOUND)
  set(CONVOY_CUDA_MISSING "install python3")
else()
  if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
    set(ENV{CUDACXX} ${CUDAToolkit_NVCC_EXECUTABLE})  # found where it is installed, on PATH or not
  endif()
  if(NOT CMAKE_CUDA_HOST_COMPILER AND NOT DEFINED ENV{CUDAHOSTCXX})
    set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER})
  endif()
  # An nvcc that does not know this C++ compiler must not stop those who want the CPU.
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    set(CONVOY_HAVE_CUDA ON)
  else()
    set(CONVOY_CUDA_MISSING "nvcc ${CUDAToolkit_VERSION} cannot compile with ${CMAKE_CUDA_HOST_COMPILER}: name another \
compiler with -DCMAKE_CUDA_HOST_COMPILER")
  endif()
endif()

if(CONVOY_HAVE_CUDA)
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES ${CONVOY_CUDA_ARCHITECTURES})
    if(CMAKE_CUDA_ARCHITECTURES STREQUAL native)
      execute_process(COMMAND nvidia-smi -L RESULT_VARIABLE no_gpu OUTPUT_QUIET ERROR_QUIET)
      if(no_gpu)
        set(CMAKE_CUDA_ARCHITECTURES 90)  # nobody is there to ask, and one is enough for the software GPU
      endif()
    endif()
  endif()
  set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)  # CUDA::cudart; two runtimes in one program would not know of each other
  enable_language(CUDA)
  # CMake 3.25 does not know that nvcc speaks C++20.
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  set(CMAKE_CUDA_EXTENSIONS OFF)
  if(CUDNN_FOUND)
    set(CONVOY_HAS_CUDA_BACKEND ON)
  elseif(CUDNN_VERSION)
    set(CONVOY_CUDA_MISSING "cuDNN ${CUDNN_VERSION} is older than ${CONVOY_OLDEST_CUDNN}")
  else()
    set(CONVOY_CUDA_MISSING "install cuDNN ${CONVOY_OLDEST_CUDNN} or newer for CUDA 13")
  endif()
endif()
