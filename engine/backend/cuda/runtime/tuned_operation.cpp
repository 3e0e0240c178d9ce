#include "engine/backend/cuda/runtime/tuned_operation.h"

#include <fmt/format.h>

#include <cstddef>
#include <optional>
#include <utility>

#include "engine/backend/cuda/runtime/autotune.h"

namespace convoy::cuda {
namespace {

/// The values of tensors as they were when it was made.
class Restored {
 public:
  Restored(const std::vector<TensorPtr>& tensors, cudaStream_t stream) : stream_(stream) {
    for (const TensorPtr& tensor : tensors) {
      std::vector<std::byte>& bytes = kept_.emplace_back(tensor, device(tensor).bytes()).second;
      copy_to_host(bytes.data(), device(tensor).data(), bytes.size(), stream_);
    }
  }
  /// Throws CudaError.
  void put_back() const {
    for (const auto& [tensor, bytes] : kept_)
      copy_to_device(device(tensor).data(), bytes.data(), bytes.size(), stream_);
  }

 private:
  cudaStream_t stream_;
  std::vector<std::pair<TensorPtr, std::vector<std::byte>>> kept_;
};

}  // namespace

void report_way(Context& context, const Way& way, const std::string& note) {
  for (PlanRow row : way.rows) {
    if (!note.empty()) row.notes += (row.notes.empty() ? "" : ", ") + note;
    context.add_row(row);
  }
}

class TunedOperation::Choice final : public Decision {
 public:
  Choice(Context& context, std::string key, std::vector<Way> ways, std::vector<TensorPtr> kept)
      : context_(context), key_(std::move(key)), ways_(std::move(ways)), kept_(std::move(kept)) {}

  void decide() override {
    if (const auto known = context_.plan_store().fastest_way(key_)) {  // since this was made, by another one
      for (std::size_t i = 0; i < ways_.size(); ++i) {
        if (ways_[i].name == *known) return keep(i);
      }
    }
    time_all();
  }

  Operation& chosen() const {
    if (ways_.size() != 1) throw dnn::not_prepared(key_);
    return *ways_.front().operation;
  }

 private:
  void time_all() {
    const Restored restored(kept_, context_.stream());
    std::optional<std::size_t> best;
    double least = 0.0;
    std::size_t timed = 0;
    std::string error;
    for (std::size_t i = 0; i < ways_.size(); ++i) {
      try {
        const double milliseconds = milliseconds_of([&] { run(*ways_[i].operation); }, context_.stream());
        ++timed;
        if (best && milliseconds >= least) continue;
        best = i;
        least = milliseconds;
      } catch (const Error& failure) {  // this one does not run here, or memory does not suffice
        cudaGetLastError();
        error = failure.what();
      }
    }
    restored.put_back();
    // What did not run today, for want of memory or a library, may be faster the next time.
    if (timed == ways_.size()) context_.plan_store().keep_fastest_way(key_, ways_[*best].name);
    take(best, fmt::format("fastest of {}: {:.4f} ms forward and backward", timed, least), error);
  }

  static void run(Operation& operation) {
    operation.forward(Phase::training);
    operation.backward();
  }

  void take(std::optional<std::size_t> best, const std::string& note, const std::string& error) {
    if (!best && context_.options().say) {
      context_.options().say(fmt::format("no way of {} could be timed, the first is taken: {}", key_, error),
                             Remedy::none);
    }
    report_way(context_, ways_[best.value_or(0)], best ? note : "");
    keep(best.value_or(0));
  }

  void keep(std::size_t index) {
    Way way = std::move(ways_[index]);
    ways_.clear();
    ways_.push_back(std::move(way));
  }

  Context& context_;
  std::string key_;
  std::vector<Way> ways_;  // one when it is decided
  std::vector<TensorPtr> kept_;
};

TunedOperation::TunedOperation(Context& context, std::string key, std::vector<Way> ways,
                               std::vector<TensorPtr> kept) {
  output_ = ways.at(0).operation->output();
  choice_ = std::make_shared<Choice>(context, std::move(key), std::move(ways), std::move(kept));
  context.add_decision(choice_);
}

TunedOperation::~TunedOperation() = default;

void TunedOperation::forward(Phase phase) { choice_->chosen().forward(phase); }
void TunedOperation::backward() { choice_->chosen().backward(); }

}  // namespace convoy::cuda
