#include "apps/convoy/state_keeper.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "convoy/error.h"
#include "convoy/state.h"

namespace convoy {

StateKeeper::StateKeeper(const RunFolder& folder, const Model& model, const Trainer& trainer,
                         const Json& record)
    : folder_(folder), model_(model), trainer_(trainer), record_(record) {}

void StateKeeper::after_step(const Progress& at) {
  constexpr std::int64_t kEach = 10;
  ++lines_;
  if (lines_ <= kEach || lines_ % kEach == 0) keep(at);
}

void StateKeeper::after_epoch(const Progress& at) {
  if (!keep(at)) return;
  disk_.spend([&] {
    try {
      write("last-epoch", kept_->state, {{"epoch", at.epoch}});
    } catch (const Error& error) {
      if (!told_) say_note(fmt::format("the checkpoint of epoch {} is not kept: {}", at.epoch, error.what()));
      told_ = true;
    }
  });
}

std::filesystem::path StateKeeper::save_interrupted() const {
  return write("interrupted", trainer_.state(), {{"interrupted", true}});
}

std::optional<std::string> StateKeeper::save_last_finite() const {
  if (!kept_) return std::nullopt;
  const auto& [state, at] = *kept_;
  const auto file = write("last-finite", state, {{"epoch", at.epoch}, {"step", at.step}});
  return fmt::format("the weights after step {} of epoch {}, the last known to be finite, are in {}", at.step,
                     at.epoch, file.string());
}

bool StateKeeper::keep(const Progress& at) {
  StateDict state = trainer_.state();
  if (!is_finite(state)) return false;
  kept_ = {std::move(state), at};
  return true;
}

std::filesystem::path StateKeeper::write(const char* name, const StateDict& state, Json marks) const {
  const RunFolder inner(folder_.path() / name);
  Json record = record_;
  record.update(marks);
  inner.write_model(model_, state);
  inner.write_record(record);
  return checkpoint_of(inner.path());
}

bool is_finite(const StateDict& state) {
  return std::ranges::all_of(state, [](const auto& entry) {
    return std::ranges::all_of(entry.second.values,
                               [](double value) { return std::isfinite(static_cast<float>(value)); });
  });
}

std::uint64_t bytes_of_run(const Model& model) {
  constexpr std::uint64_t kPerTensor = 512,
                          kFiles = 1 << 16;  // headers of the archive, pickle; the JSON files
  std::uint64_t bytes = kFiles;
  for (const TensorSpec& spec : tensor_specs(model)) {
    bytes +=
        kPerTensor + static_cast<std::uint64_t>(spec.shape.count()) * (spec.dtype == DType::int64 ? 8 : 4);
  }
  return 3 * bytes;
}

}  // namespace convoy
