// Stands in for libcudnn.so.9: its backend API, and nothing of the legacy one.
#include <cudnn.h>

#include <cstring>

#include "tests/software_gpu/cudnn/descriptor.h"
#include "tests/software_gpu/cudnn/interpret.h"
#include "tests/software_gpu/gpu.h"
#include "tests/software_gpu/number.h"

struct cudnnContext {
  cudaStream_t stream = nullptr;
};

namespace software_gpu {
namespace {

constexpr long kVersion = 91900;

thread_local std::string last_error;

struct Handle {
  Descriptor::Pointer descriptor = std::make_shared<Descriptor>();
};

// Runs `action` under the lock unless the call is to fail; a Refusal becomes a status.
template <typename Action>
cudnnStatus_t call(const char* function, Action action) {
  const std::lock_guard guard(lock());
  last_error.clear();
  if (const int status = begin_call(function)) {
    last_error = "SOFTWARE_GPU_FAIL asks for it";
    return static_cast<cudnnStatus_t>(status);
  }
  try {
    action();
    return CUDNN_STATUS_SUCCESS;
  } catch (const Refusal& refusal) {
    last_error = refusal.text;
    return refusal.status;
  }
}

// For what destroys: it does its work even if it then reports a failure.
template <typename Action>
cudnnStatus_t destroy_call(const char* function, Action action) {
  const std::lock_guard guard(lock());
  const int status = begin_call(function);
  action();
  return static_cast<cudnnStatus_t>(status);
}

void require(bool condition, cudnnStatus_t status, const std::string& text) {
  if (!condition) throw Refusal{status, text};
}

bool overlap(const Access& a, const Access& b) {
  const auto* p = static_cast<const char*>(a.pointer);
  const auto* q = static_cast<const char*>(b.pointer);
  return p < q + b.bytes && q < p + a.bytes;
}

// The running statistics may be updated in place; nothing else may share memory with an output.
bool may_alias(const Program& program, std::int64_t written, std::int64_t other) {
  for (const OperationInfo& op : program.operations) {
    for (const char* name : {"running_mean", "running_var"}) {
      const std::string next = std::string("next_") + name;
      if (op.has(name) && op.operands.at(name) == other && op.operands.at(next) == written) return true;
    }
  }
  return false;
}

class Execution {
 public:
  Execution(const Descriptor& plan, const Descriptor& pack) : plan_(plan) {
    bound_.program = plan.program;
    bound_.tf32 = plan.engine.rounds_to_tf32;
    const auto ids = pack.values<std::int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    const auto pointers = pack.values<void*>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
    for (std::size_t i = 0; i < ids.size(); ++i) bind(ids[i], pointers[i]);
    for (const auto& [uid, tensor] : bound_.program->tensors) {
      require(tensor.is_virtual || bound_.memory.contains(uid) || bound_.scalars.contains(uid),
              CUDNN_STATUS_BAD_PARAM, "tensor " + std::to_string(uid) + " is bound to nothing");
    }
    take_workspace(pack);
    check_aliases();
  }

  Work work() const {
    std::vector<Access> accesses;
    for (const auto& [uid, access] : accesses_) accesses.push_back(access);
    if (workspace_.bytes > 0) accesses.push_back(workspace_);
    return {WorkKind::library, "cudnnBackendExecute", std::move(accesses),
            [bound = bound_, workspace = workspace_] {
              if (workspace.bytes > 0)
                std::memset(const_cast<void*>(workspace.pointer), 0xFF, workspace.bytes);
              interpret(bound);
            },
            plan_.engine.milliseconds};
  }

 private:
  void bind(std::int64_t uid, void* pointer) {
    const auto found = bound_.program->tensors.find(uid);
    const std::string name = "tensor " + std::to_string(uid);
    require(found != bound_.program->tensors.end() && !found->second.is_virtual, CUDNN_STATUS_BAD_PARAM,
            name + " is bound but not in the graph's memory");
    require(pointer != nullptr, CUDNN_STATUS_BAD_PARAM_NULL_POINTER, name + " is bound to null");
    const TensorInfo& tensor = found->second;
    if (tensor.by_value) {
      require(!is_device_address(pointer), CUDNN_STATUS_BAD_PARAM,
              name + " goes by value from device memory");
      bound_.scalars[uid] = load_float(pointer, 0);
      return;
    }
    require(reinterpret_cast<std::uintptr_t>(pointer) % static_cast<std::uintptr_t>(tensor.alignment) == 0,
            CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER, name + " is misaligned");
    const bool fresh = bound_.memory.emplace(uid, pointer).second;
    require(fresh, CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES, name + " is bound twice");
    accesses_[uid] = {pointer, tensor.bytes(), "cudnnBackendExecute, " + name};
  }

  void take_workspace(const Descriptor& pack) {
    if (plan_.engine.workspace == 0) return;
    require(pack.has(CUDNN_ATTR_VARIANT_PACK_WORKSPACE), CUDNN_STATUS_BAD_PARAM, "a workspace is missing");
    workspace_ = {pack.value<void*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE),
                  static_cast<std::size_t>(plan_.engine.workspace), "cudnnBackendExecute, workspace"};
  }

  void check_aliases() const {
    const std::set<std::int64_t> written = bound_.program->written();
    for (const auto& [uid, access] : accesses_) {
      if (workspace_.bytes > 0 && overlap(access, workspace_)) die(access.what + " overlaps the workspace");
      if (!written.contains(uid)) continue;
      for (const auto& [other, other_access] : accesses_) {
        if (other == uid || !overlap(access, other_access)) continue;
        const bool in_place = access.pointer == other_access.pointer && access.bytes == other_access.bytes;
        if (!in_place || !may_alias(*bound_.program, uid, other)) {
          die(access.what + " is written and overlaps tensor " + std::to_string(other));
        }
      }
    }
  }

  const Descriptor& plan_;
  Bound bound_;
  std::map<std::int64_t, Access> accesses_;
  Access workspace_;
};

// What was loaded by a handle is; what was loaded by a description may be another device's.
bool is_for_this_device(const Descriptor& plan) {
  return !plan.has(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP) ||
         plan.child(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP).json == device_json();
}

}  // namespace

Descriptor::Pointer descriptor_of(cudnnBackendDescriptor_t handle) {
  require(is_alive("cudnn descriptors", handle), CUDNN_STATUS_BAD_PARAM_NULL_POINTER,
          "a descriptor is not alive");
  return static_cast<Handle*>(handle)->descriptor;
}

}  // namespace software_gpu

using namespace software_gpu;

extern "C" {

std::size_t cudnnGetVersion() {
  return static_cast<std::size_t>(number_from("SOFTWARE_GPU_CUDNN_VERSION", kVersion));
}
std::size_t cudnnGetCudartVersion() {
  return static_cast<std::size_t>(number_from("SOFTWARE_GPU_CUDNN_CUDA", 13000));
}

// SOFTWARE_GPU_FAIL makes a library of another version of one of them.
cudnnStatus_t cudnnGraphVersionCheck() {
  return call(__func__, [] {});
}
cudnnStatus_t cudnnOpsVersionCheck() {
  return call(__func__, [] {});
}
cudnnStatus_t cudnnCnnVersionCheck() {
  return call(__func__, [] {});
}

const char* cudnnGetErrorString(cudnnStatus_t status) {
  switch (CUDNN_STATUS_CATEGORY(status)) {
    case CUDNN_STATUS_SUCCESS:
      return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_NOT_INITIALIZED / 1000 * 1000:
      if (status == CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH)
        return "CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH";
      return "CUDNN_STATUS_NOT_INITIALIZED";
    case CUDNN_STATUS_BAD_PARAM:
      return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_NOT_SUPPORTED:
      return "CUDNN_STATUS_NOT_SUPPORTED";
    case CUDNN_STATUS_INTERNAL_ERROR:
      return "CUDNN_STATUS_INTERNAL_ERROR";
    default:
      return "CUDNN_STATUS_EXECUTION_FAILED";
  }
}

void cudnnGetLastErrorString(char* message, std::size_t size) {
  if (size == 0) return;
  std::strncpy(message, last_error.c_str(), size - 1);
  message[size - 1] = '\0';
  last_error.clear();  // as the real library does
}

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  return call(__func__, [&] {
    *handle = new cudnnContext;
    track("cudnn handles", *handle);
  });
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  return destroy_call(__func__, [&] {
    if (!untrack("cudnn handles", handle)) die("cudnnDestroy of a handle that is not alive");
    delete handle;
  });
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  return call(__func__, [&] {
    require(is_alive("cudnn handles", handle), CUDNN_STATUS_NOT_INITIALIZED, "the handle is not alive");
    require(is_alive("streams", stream), CUDNN_STATUS_BAD_PARAM, "the stream is not alive");
    handle->stream = stream;
  });
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t* descriptor) {
  return call(__func__, [&] {
    require(rules_of(type) != nullptr, CUDNN_STATUS_NOT_SUPPORTED, "a descriptor that is not simulated");
    auto* handle = new Handle;
    handle->descriptor->type = type;
    *descriptor = handle;
    track("cudnn descriptors", handle);
  });
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  return destroy_call(__func__, [&] {
    if (!untrack("cudnn descriptors", descriptor)) die("cudnnBackendDestroyDescriptor of what is not alive");
    delete static_cast<Handle*>(descriptor);
  });
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, std::int64_t count,
                                       const void* values) {
  return call(__func__, [&] { descriptor_of(descriptor)->set(name, type, count, values); });
}

cudnnStatus_t cudnnBackendGetAttribute(const cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                                       std::int64_t requested, std::int64_t* count, void* values) {
  return call(__func__, [&] { descriptor_of(descriptor)->get(name, type, requested, count, values); });
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  return call(__func__, [&] { descriptor_of(descriptor)->finalize(); });
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack) {
  return call(__func__, [&] {
    require(is_alive("cudnn handles", handle), CUDNN_STATUS_NOT_INITIALIZED, "the handle is not alive");
    const Descriptor::Pointer p = descriptor_of(plan);
    const Descriptor::Pointer v = descriptor_of(pack);
    require(p->finalized && v->finalized, CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED,
            "plan or pack is not finalised");
    require(p->type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR &&
                v->type == CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR,
            CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE, "not a plan and a variant pack");
    require(p->by_handle || p->has(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION), CUDNN_STATUS_BAD_PARAM,
            "the plan was made for a described device and never loaded from its text");
    require(is_for_this_device(*p), CUDNN_STATUS_NOT_SUPPORTED_ARCH_MISMATCH,
            "the plan is for another device");
    require(handle->stream != nullptr, CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH, "the handle has no stream");
    require(enqueue(handle->stream, Execution(*p, *v).work()) == cudaSuccess,
            CUDNN_STATUS_EXECUTION_FAILED_CUDART, "the work cannot be enqueued");
  });
}

}  // extern "C"
