// Marks arithmetic that is compiled for the GPU and for the host alike.
#pragma once

#ifdef __CUDACC__
#define HOST_DEVICE __host__ __device__
#else
#define HOST_DEVICE
#endif
