// Muon: three launches around the matrix products of every weight that it has.
#include "kernels/muon.h"

#include <algorithm>

#include "engine/backend/checks.h"
#include "engine/backend/cuda/cuda_backend.h"
#include "engine/backend/cuda/runtime/parameters.h"
#include "engine/backend/cuda/step/counter.h"
#include "engine/backend/cuda/step/gradient_clip.h"
#include "engine/backend/cuda/step/newton_schulz.h"

namespace convoy::cuda {
namespace {

template <typename T>
Buffer uploaded(const std::vector<T>& values, cudaStream_t stream) {
  if (values.empty()) return {};
  Buffer buffer(values.size() * sizeof(T));
  copy_to_device(buffer.data(), values.data(), buffer.bytes(), stream);
  return buffer;
}

class DeviceMuon final : public Optimizer {
 public:
  DeviceMuon(Context& context, const DeviceParameters& parameters, const StepCounter& counter,
             const MuonOptions& options, const UpdateRule& rule)
      : context_(context),
        scalars_(device_scalars(counter)),
        steps_(options.steps),
        momentum_(zeros_for(parameters)),
        directions_(zeros_for(parameters)),
        others_(zeros_for(parameters)) {
    state_ = {{"momentum_buffer", parameters.tensors_over(momentum_)}};
    rule_ = {.momentum = options.momentum,
             .nesterov = options.nesterov,
             .weight_decay = options.weight_decay,
             .rate_factor = options.learning_rate / counter.rule().learning_rate};
    add_matrices(parameters, options, rule);
    arenas_ = {.parameters = parameters.values(),
               .gradients = parameters.gradients(),
               .momentum = momentum_->as<float>(),
               .directions = directions_->as<float>(),
               .orthogonal = (steps_ % 2 == 0 ? directions_ : others_)->as<float>(),
               .copies = parameters.copies(),
               .gradient_factor = gradient_factor(rule.clip),
               .chunks = chunks_.as<const kernels::MuonChunk>(),
               .chunk_count = chunk_count_,
               .matrices = matrices_.as<const kernels::MuonMatrix>(),
               .partials = partials_.as<double>()};
  }

  void step() override {
    kernels::muon_directions(arenas_, rule_, context_.stream());
    for (NewtonSchulz& iteration : iterations_) iteration.execute(steps_);
    kernels::muon_apply(arenas_, rule_, scalars_, context_.stream());
  }

 private:
  static std::shared_ptr<const Buffer> zeros_for(const DeviceParameters& parameters) {
    return std::make_shared<const Buffer>(static_cast<std::size_t>(parameters.count()) * sizeof(float));
  }

  void add_matrices(const DeviceParameters& parameters, const MuonOptions& options, const UpdateRule& rule) {
    std::vector<kernels::MuonChunk> chunks;
    std::vector<kernels::MuonMatrix> matrices;
    std::vector<std::pair<MuonShape, std::int64_t>> shapes;  // and where they begin
    std::int64_t largest = 0;
    for (std::size_t i = 0; i < rule.groups.size(); ++i) {
      if (rule.groups[i] != ParameterGroup::orthogonalized) continue;
      const MuonShape shape(parameters.variables()[i].value->shape());
      const std::int64_t begin = parameters.begin_of(i), end = begin + shape.rows * shape.columns;
      const auto first = static_cast<std::int32_t>(chunks.size());
      for (std::int64_t at = begin; at < end; at += kernels::kMuonChunk) {
        chunks.push_back({at,
                          static_cast<std::int32_t>(std::min<std::int64_t>(kernels::kMuonChunk, end - at)),
                          static_cast<std::int32_t>(matrices.size())});
      }
      matrices.push_back(
          {first, static_cast<std::int32_t>(chunks.size()) - first, shape.rate_factor(options.adjust_rate)});
      shapes.emplace_back(shape, begin);
      largest = std::max(largest, shape.inner() * shape.inner());
    }
    chunk_count_ = static_cast<std::int32_t>(chunks.size());
    chunks_ = uploaded(chunks, context_.stream());
    matrices_ = uploaded(matrices, context_.stream());
    partials_ = Buffer(chunks.size() * sizeof(double));
    gram_ = Buffer(static_cast<std::size_t>(largest) * sizeof(float));
    change_ = Buffer(static_cast<std::size_t>(largest) * sizeof(float));
    for (const auto& [shape, begin] : shapes) {
      iterations_.emplace_back(
          context_, shape,
          NewtonSchulzMemory{directions_->as<float>() + begin, others_->as<float>() + begin,
                             gram_.as<float>(), change_.as<float>()});
    }
  }

  Context& context_;
  const StepScalars* scalars_;
  std::int64_t steps_;
  std::shared_ptr<const Buffer> momentum_, directions_, others_;  // in the arena's order
  Buffer chunks_, matrices_, partials_;
  Buffer gram_, change_;  // of all matrices in turn
  std::int32_t chunk_count_ = 0;
  std::vector<NewtonSchulz> iterations_;  // one a matrix
  kernels::MuonRule rule_;
  kernels::MuonArenas arenas_;
};

}  // namespace

std::unique_ptr<Optimizer> CudaBackend::make_muon(ParameterArena& parameters, const StepCounter& counter,
                                                  const MuonOptions& options, const UpdateRule& rule) {
  const auto& arena = own<DeviceParameters>("Muon: the parameters", parameters);
  check_muon(options, rule.groups, arena);
  if (!arena.gradients()) throw UsageError("Muon: the parameters were made without gradients");
  return std::make_unique<DeviceMuon>(context_, arena, counter, options, rule);
}

}  // namespace convoy::cuda
