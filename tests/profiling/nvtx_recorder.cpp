// What a profiler is to NVTX: a library that the variable NVTX_INJECTION64_PATH names. It writes each range
// to the file NVTX_RECORD, a line when it opens, indented by how deep it lies: "domain:name=payload".
#include <nvtx3/nvToolsExt.h>

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>

namespace {

std::FILE* output() {
  static std::FILE* const file = [] {
    const char* path = std::getenv("NVTX_RECORD");
    return path ? std::fopen(path, "w") : stderr;
  }();
  return file;
}

// Handles are addresses of these, which stay where they are.
std::deque<std::string>& strings() {
  static std::deque<std::string> all;
  return all;
}

thread_local int depth = 0;

const std::string& text(const void* handle) { return *static_cast<const std::string*>(handle); }

nvtxDomainHandle_t NVTX_API create_domain(const char* name) {
  return reinterpret_cast<nvtxDomainHandle_t>(&strings().emplace_back(name));
}

nvtxStringHandle_t NVTX_API register_string(nvtxDomainHandle_t, const char* name) {
  return reinterpret_cast<nvtxStringHandle_t>(&strings().emplace_back(name));
}

int NVTX_API push(nvtxDomainHandle_t domain, const nvtxEventAttributes_t* event) {
  const bool registered = event->messageType == NVTX_MESSAGE_TYPE_REGISTERED;
  std::fprintf(output(), "%*s%s:%s", 2 * depth, "", text(domain).c_str(),
               registered ? text(event->message.registered).c_str() : "(not registered)");
  if (event->payloadType == NVTX_PAYLOAD_TYPE_INT64) {
    std::fprintf(output(), "=%lld", static_cast<long long>(event->payload.llValue));
  }
  std::fprintf(output(), "\n");
  std::fflush(output());
  return depth++;
}

int NVTX_API pop(nvtxDomainHandle_t) { return --depth; }

template <typename Function>
void replace(NvtxFunctionTable table, int index, Function function) {
  *table[index] = reinterpret_cast<NvtxFunctionPointer>(function);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int InitializeInjectionNvtx2(
    NvtxGetExportTableFunc_t get_table) {
  const auto* callbacks = static_cast<const NvtxExportTableCallbacks*>(get_table(NVTX_ETID_CALLBACKS));
  NvtxFunctionTable table = nullptr;
  unsigned size = 0;
  if (!callbacks || !callbacks->GetModuleFunctionTable(NVTX_CB_MODULE_CORE2, &table, &size)) return 0;
  replace(table, NVTX_CBID_CORE2_DomainCreateA, create_domain);
  replace(table, NVTX_CBID_CORE2_DomainRegisterStringA, register_string);
  replace(table, NVTX_CBID_CORE2_DomainRangePushEx, push);
  replace(table, NVTX_CBID_CORE2_DomainRangePop, pop);
  return 1;
}
