// A driver without a GPU: libcuda.so.1 for machines that have none. cuDNN compiles its runtime-compiled
// engines for a described device only where it can load a driver; which functions it asks for was found with
// cuDNN 9.19. Nothing can run on it.
#define CONVOY_NO_DEVICE(name) \
  int name() { return kNoDevice; }

extern "C" {

constexpr int kSuccess = 0;
constexpr int kNoDevice = 100;         // CUDA_ERROR_NO_DEVICE
constexpr int kDriverVersion = 13000;  // CUDA 13.0

int cuDriverGetVersion(int* version) {
  *version = kDriverVersion;
  return kSuccess;
}

int cuDeviceGetCount(int* count) {
  *count = 0;
  return kNoDevice;
}

int cuGetErrorName(int, const char** name) {
  *name = "CUDA_ERROR_NO_DEVICE";
  return kSuccess;
}

int cuGetErrorString(int, const char** text) {
  *text = "no CUDA-capable device is detected";
  return kSuccess;
}

CONVOY_NO_DEVICE(cuInit)
CONVOY_NO_DEVICE(cuDeviceGet)
CONVOY_NO_DEVICE(cuCtxGetCurrent)
CONVOY_NO_DEVICE(cuCtxGetLimit)
CONVOY_NO_DEVICE(cuCtxPopCurrent)
CONVOY_NO_DEVICE(cuCtxPushCurrent)
CONVOY_NO_DEVICE(cuStreamGetCtx)
CONVOY_NO_DEVICE(cuLinkCreate)
CONVOY_NO_DEVICE(cuLinkAddData)
CONVOY_NO_DEVICE(cuLinkComplete)
CONVOY_NO_DEVICE(cuLinkDestroy)
CONVOY_NO_DEVICE(cuLaunchKernel)
CONVOY_NO_DEVICE(cuLaunchKernelEx)
CONVOY_NO_DEVICE(cuLaunchCooperativeKernel)
CONVOY_NO_DEVICE(cuLibraryLoadData)
CONVOY_NO_DEVICE(cuLibraryLoadFromFile)
CONVOY_NO_DEVICE(cuLibraryGetKernel)
CONVOY_NO_DEVICE(cuLibraryUnload)
CONVOY_NO_DEVICE(cuKernelSetAttribute)
CONVOY_NO_DEVICE(cuKernelGetAttribute)
CONVOY_NO_DEVICE(cuOccupancyMaxPotentialClusterSize)

}  // extern "C"
