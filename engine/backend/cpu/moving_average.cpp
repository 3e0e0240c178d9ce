// The exponential moving average of weights and running statistics.
#include <algorithm>

#include "engine/backend/checks.h"
#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/cpu/loops.h"
#include "engine/backend/cpu/optimizer_loops.h"
#include "engine/backend/cpu/tensor.h"

namespace convoy::cpu {
namespace {

class Moving final : public MovingAverage {
 public:
  Moving(CpuParameters& parameters, CpuParameters& statistics, const StepCounter& counter, double decay)
      : counter_(counter), weight_(static_cast<float>(1.0 - decay)) {
    for (CpuParameters* arena : {&parameters, &statistics}) {
      const auto memory = std::make_shared<Buffer>(arena->values().size_bytes());
      for (const TensorPtr& tensor : arena->tensors_over(memory)) means_.push_back(tensor);
      pairs_.push_back({arena, memory});
    }
  }

  void update() override {
    const float weight = counter_.read() == begun_ + 1 ? 1.0f : weight_;
    for (const Pair& pair : pairs_) {
      in_parallel(std::ssize(pair.arena->values()), [&](std::int64_t begin, std::int64_t end) {
        move_average(pair.arena->values().data() + begin, pair.means() + begin, end - begin, weight);
      });
    }
  }

  void swap() override {
    for (const Pair& pair : pairs_)
      std::ranges::swap_ranges(pair.arena->values(), std::span(pair.means(), pair.arena->values().size()));
  }

  void begin_behind(std::int64_t step) override { begun_ = step; }

 private:
  struct Pair {
    CpuParameters* arena;
    std::shared_ptr<Buffer> memory;

    float* means() const { return static_cast<float*>(memory->data()); }
  };

  const StepCounter& counter_;
  const float weight_;
  std::vector<Pair> pairs_;
};

}  // namespace

std::unique_ptr<MovingAverage> CpuBackend::make_moving_average(ParameterArena& parameters,
                                                               ParameterArena& statistics,
                                                               const StepCounter& counter, double decay) {
  check_ema_decay(decay);
  return std::make_unique<Moving>(own<CpuParameters>("moving average: the parameters", parameters),
                                  own<CpuParameters>("moving average: the statistics", statistics), counter,
                                  decay);
}

}  // namespace convoy::cpu
