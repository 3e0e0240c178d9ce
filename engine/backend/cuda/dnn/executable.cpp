#include "engine/backend/cuda/dnn/executable.h"

#include <fmt/format.h>

#include <utility>

namespace convoy::cuda::dnn {

Error not_prepared(const std::string& what) {
  return Error(fmt::format("{} is executed unprepared: Backend::prepare() comes before it", what));
}

Executable::Executable(const LoadedPlan& plan, cudnnHandle_t handle, std::span<const Binding> bindings,
                       void* workspace)
    : handle_(handle), plan_(plan.descriptor), variant_pack_(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR) {
  std::vector<std::int64_t> ids;
  std::vector<void*> pointers;
  for (const Binding& binding : bindings) {
    ids.push_back(static_cast<std::int64_t>(binding.role));
    pointers.push_back(binding.pointer);
  }
  variant_pack_.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, std::span<const std::int64_t>(ids))
      .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, std::span<void* const>(pointers))
      .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, workspace)
      .finalize();
}

void Executable::execute() const {
  check(cudnnBackendExecute(handle_, plan_.raw(), variant_pack_.raw()), "cudnnBackendExecute");
}

BoundGraph::BoundGraph(std::string name, std::vector<Binding> bindings)
    : name_(std::move(name)), bindings_(std::move(bindings)) {}

void BoundGraph::make_executable(const LoadedPlan& plan, cudnnHandle_t handle, void* workspace) {
  executable_.emplace(plan, handle, bindings_, workspace);
}

void BoundGraph::make_unavailable(std::string why) { unavailable_ = std::move(why); }

bool BoundGraph::available() const {
  if (!executable_ && unavailable_.empty()) throw not_prepared(name_);
  return executable_.has_value();
}

void BoundGraph::execute() const {
  if (!available()) throw Error(unavailable_);
  executable_->execute();
}

}  // namespace convoy::cuda::dnn
