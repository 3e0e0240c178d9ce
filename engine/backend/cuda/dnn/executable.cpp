#include "engine/backend/cuda/dnn/executable.h"

#include <fmt/format.h>

#include <utility>

namespace convoy::cuda::dnn {

Error not_prepared(const std::string& what) {
  return Error(fmt::format("{} is executed unprepared: Backend::prepare() comes before it", what));
}

void* BoundMemory::operator[](Role role) const {
  for (const Binding& binding : bindings_) {
    if (binding.role == role) return binding.pointer;
  }
  throw Error(
      fmt::format("an own kernel needs role {}, which is bound to nothing", static_cast<std::int64_t>(role)));
}

std::int64_t workspace_of(const Candidate& candidate) {
  if (const auto* own = std::get_if<OwnKernel>(&candidate)) return own->workspace;
  return std::get<LoadedPlan>(candidate).plan.info.workspace;
}

namespace {

/// `plan` is shared by all who execute it; the variant pack is this one's own.
std::function<void()> execution(const Descriptor& plan, cudnnHandle_t handle,
                                const std::vector<Binding>& bindings, void* workspace) {
  std::vector<std::int64_t> ids;
  std::vector<void*> pointers;
  for (const Binding& binding : bindings) {
    ids.push_back(static_cast<std::int64_t>(binding.role));
    pointers.push_back(binding.pointer);
  }
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, std::span<const std::int64_t>(ids))
      .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, std::span<void* const>(pointers))
      .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, workspace)
      .finalize();
  return [plan, pack, handle] {
    check(cudnnBackendExecute(handle, plan.raw(), pack.raw()), "cudnnBackendExecute");
  };
}

}  // namespace

Executable::Executable(const Candidate& candidate, const Queue& queue, const std::vector<Binding>& bindings,
                       void* workspace) {
  if (const auto* plan = std::get_if<LoadedPlan>(&candidate)) {
    enqueue_ = execution(plan->descriptor, queue.handle, bindings, workspace);
  } else {
    enqueue_ = [run = std::get<OwnKernel>(candidate).run, memory = BoundMemory(bindings, workspace),
                stream = queue.stream] { run(memory, stream); };
  }
}

BoundGraph::BoundGraph(std::string name, std::vector<Binding> bindings)
    : name_(std::move(name)), bindings_(std::move(bindings)) {}

void BoundGraph::make_executable(const Candidate& candidate, const Queue& queue, void* workspace) {
  executable_.emplace(candidate, queue, bindings_, workspace);
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
