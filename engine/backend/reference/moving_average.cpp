// torch.optim.swa_utils.AveragedModel with get_ema_multi_avg_fn and use_buffers, in double.
#include <algorithm>
#include <memory>
#include <vector>

#include "engine/backend/checks.h"
#include "engine/backend/reference/reference_backend.h"

namespace convoy::reference {
namespace {

template <typename T>
class Moving final : public MovingAverage {
 public:
  Moving(Arena<T>& parameters, Arena<T>& statistics, const StepCounter& counter, double decay)
      : counter_(counter), decay_(decay) {
    for (Arena<T>* arena : {&parameters, &statistics}) {
      arenas_.push_back(arena);
      memories_.push_back(std::make_shared<std::vector<T>>(arena->values().size()));
      for (const TensorPtr& tensor : arena->tensors_over(memories_.back())) means_.push_back(tensor);
    }
  }

  void update() override {
    const bool first = counter_.read() == begun_ + 1;
    for (std::size_t a = 0; a < arenas_.size(); ++a) {
      const auto values = arenas_[a]->values();
      for (std::size_t i = 0; i < values.size(); ++i) {
        T& mean = memories_[a]->at(i);
        mean = first ? values[i] : static_cast<T>(decay_ * mean + (1.0 - decay_) * values[i]);
      }
    }
  }

  void swap() override {
    for (std::size_t a = 0; a < arenas_.size(); ++a)
      std::ranges::swap_ranges(*memories_[a], arenas_[a]->values());
  }

  void begin_behind(std::int64_t step) override { begun_ = step; }

 private:
  const StepCounter& counter_;
  double decay_;
  std::vector<Arena<T>*> arenas_;
  std::vector<std::shared_ptr<std::vector<T>>> memories_;
};

}  // namespace

template <typename T>
std::unique_ptr<MovingAverage> ReferenceBackend<T>::make_moving_average(ParameterArena& parameters,
                                                                        ParameterArena& statistics,
                                                                        const StepCounter& counter,
                                                                        double decay) {
  check_ema_decay(decay);
  return std::make_unique<Moving<T>>(own<Arena<T>>("moving average: the parameters", parameters),
                                     own<Arena<T>>("moving average: the statistics", statistics), counter,
                                     decay);
}

template std::unique_ptr<MovingAverage> ReferenceBackend<float>::make_moving_average(ParameterArena&,
                                                                                     ParameterArena&,
                                                                                     const StepCounter&,
                                                                                     double);
template std::unique_ptr<MovingAverage> ReferenceBackend<double>::make_moving_average(ParameterArena&,
                                                                                      ParameterArena&,
                                                                                      const StepCounter&,
                                                                                      double);

}  // namespace convoy::reference
