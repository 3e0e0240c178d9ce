#include "tests/software_gpu/twins/twin.h"

#include <cxxabi.h>
#include <dlfcn.h>

#include <cstdlib>
#include <map>

#include "tests/software_gpu/gpu.h"

namespace software_gpu {
namespace {

std::map<std::string, Binder>& binders() {
  static auto* binders = new std::map<std::string, Binder>;
  return *binders;
}

std::string demangled(const std::string& name) {
  int status = 0;
  char* text = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
  if (status != 0) die(name + " is not a mangled name");
  std::string result(text);
  std::free(text);
  return result;
}

// "(float const*, long)": the last pair of parentheses of a function or a function type.
std::string parameters_of(const std::string& function) {
  int depth = 0;
  for (std::size_t i = function.size(); i-- > 0;) {
    if (function[i] == ')') ++depth;
    if (function[i] == '(' && --depth == 0) return function.substr(i);
  }
  die(function + " has no parameters");
}

// In this library, whatever the program itself calls by that name.
void* find_function(const std::string& kernel) {
  Dl_info here;
  if (!dladdr(reinterpret_cast<const void*>(&find_function), &here)) die("this library cannot find itself");
  static void* const self = dlopen(here.dli_fname, RTLD_NOW | RTLD_NOLOAD);
  void* function = self ? dlsym(self, kernel.c_str()) : nullptr;
  if (!function) die("no twin was compiled for " + demangled(kernel));
  return function;
}

}  // namespace

void offer_binder(const char* type, Binder binder) { binders()[parameters_of(demangled(type))] = binder; }

cudaError_t refuse_launch() { die("a launcher was called that was compiled for its kernels alone"); }

std::function<void()> bind_twin(const std::string& kernel, void** arguments) {
  const std::string parameters = parameters_of(demangled(kernel));
  const auto found = binders().find(parameters);
  if (found == binders().end()) die("nothing calls a kernel with the parameters " + parameters);
  return found->second(find_function(kernel), arguments);
}

}  // namespace software_gpu
