// What cuDNN and NVRTC leak themselves (about 89 KB in cuDNN 9.19). LeakSanitizer asks for this by name;
// without it nobody calls it.
#include <dlfcn.h>

extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:libcudnn\nleak:libnvrtc\n"; }

namespace {

// cuDNN unloads NVRTC, and a library that has gone has no name to suppress.
[[maybe_unused]] const void* const kept_nvrtc = dlopen("libnvrtc.so.13", RTLD_LAZY | RTLD_NODELETE);

}  // namespace
