// What concerns the whole program: the lock, the trace, injected faults, and what is left over at its end.
//
//   SOFTWARE_GPU_TRACE=FILE             every call of a stand-in, one a line, in order; one of the
//                                       runtime's by another thread than the first ends with " beside"
//   SOFTWARE_GPU_FAIL=FUNCTION:N:STATUS the N-th call (from 1; 0: every one) of FUNCTION does nothing and
//   returns
//                                       STATUS
//   SOFTWARE_GPU_ARCHITECTURE=75        the compute capability
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <utility>

#include "tests/software_gpu/cudart/memory.h"
#include "tests/software_gpu/gpu.h"

namespace software_gpu {
namespace {

constexpr int kLeakExitCode = 70;

struct Fault {
  std::string function;
  int call = 0;
  int status = 0;
};

Fault wanted_fault() {
  const char* text = std::getenv("SOFTWARE_GPU_FAIL");
  Fault fault;
  if (!text) return fault;
  std::istringstream in(text);
  char colon = 0;
  if (!std::getline(in, fault.function, ':') || !(in >> fault.call >> colon >> fault.status)) {
    die("SOFTWARE_GPU_FAIL is not FUNCTION:N:STATUS");
  }
  return fault;
}

class Process {
 public:
  static Process& instance() {
    static auto* process = new Process;
    return *process;
  }

  std::recursive_mutex mutex;
  std::set<std::pair<std::string, const void*>> alive;

  int begin_call(const std::string& function, const std::string& detail) {
    if (trace_) {
      // Plans are made by several threads, which do nothing to a stream.
      const bool beside = function.starts_with("cuda") && std::this_thread::get_id() != first_;
      std::fprintf(trace_, "%s%s%s%s\n", function.c_str(), detail.empty() ? "" : " ", detail.c_str(),
                   beside ? " beside" : "");
      std::fflush(trace_);
    }
    const bool fails = function == fault_.function && (++calls_ == fault_.call || fault_.call == 0);
    return fails ? fault_.status : 0;
  }

  bool report_leaks() const {
    std::map<std::string, int> counts;
    for (const auto& [kind, object] : alive) ++counts[kind];
    for (const auto& [kind, count] : counts) {
      std::fprintf(stderr, "software GPU: leaked %d of %s\n", count, kind.c_str());
    }
    const bool memory = DeviceMemory::instance().report_leaks();
    return memory || !counts.empty();
  }

 private:
  Process() : fault_(wanted_fault()) {
    const char* path = std::getenv("SOFTWARE_GPU_TRACE");
    if (path && !(trace_ = std::fopen(path, "a"))) die("SOFTWARE_GPU_TRACE cannot be written");
  }

  std::FILE* trace_ = nullptr;
  std::thread::id first_ = std::this_thread::get_id();
  Fault fault_;
  int calls_ = 0;
};

// Runs when the library is unloaded, after the program's own exit handlers.
[[gnu::destructor]] void at_exit() {
  if (!Process::instance().report_leaks()) return;
  std::fflush(nullptr);
  _exit(kLeakExitCode);
}

}  // namespace

std::recursive_mutex& lock() { return Process::instance().mutex; }

int begin_call(const char* function, const std::string& detail) {
  return Process::instance().begin_call(function, detail);
}

void track(const char* kind, const void* object) { Process::instance().alive.emplace(kind, object); }
bool untrack(const char* kind, const void* object) {
  return Process::instance().alive.erase({kind, object}) == 1;
}
bool is_alive(const char* kind, const void* object) {
  return Process::instance().alive.contains({kind, object});
}

long number_from(const char* variable, long otherwise) {
  const char* text = std::getenv(variable);
  if (!text) return otherwise;
  char* end = nullptr;
  const long value = std::strtol(text, &end, 10);
  if (end == text || *end) die(std::string(variable) + " is not a number");
  return value;
}

int architecture() { return static_cast<int>(number_from("SOFTWARE_GPU_ARCHITECTURE", 90)); }

void check_accesses(const std::vector<Access>& accesses) {
  for (const Access& access : accesses) {
    if (access.bytes == 0 || DeviceMemory::instance().holds(access.pointer, access.bytes)) continue;
    char text[300];
    DeviceMemory::instance().explain(reinterpret_cast<std::uintptr_t>(access.pointer), text, sizeof text);
    die(access.what + ": " + std::to_string(access.bytes) + " bytes are not within one live allocation; " +
        text);
  }
}

void die(const std::string& what) {
  std::fprintf(stderr, "software GPU: %s\n", what.c_str());
  std::fflush(nullptr);
  std::abort();
}

}  // namespace software_gpu
