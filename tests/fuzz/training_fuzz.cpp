// The pickle of a whole training: its size (2 bytes), the pickle, and then the bytes that every storage has.
#include "engine/io/training_pickle.h"

#include "tests/fuzz/state_checks.h"

using namespace convoy;

namespace {

TrainingSnapshot written_and_read(const TrainingSnapshot& snapshot) {
  const PickledFile file = training_to_pickle(snapshot, AdamOptions{}, "notes", MuonOptions{});
  const auto storage = [&](std::string_view key) { return file.storages.at(std::stoul(std::string(key))); };
  constexpr std::uint64_t kAnyNumber = std::uint64_t{1} << 40;
  return training_from_pickle(file.pickle, storage, kAnyNumber).snapshot;
}

void require_same(const TrainingSnapshot& a, const TrainingSnapshot& b) {
  fuzz::require_same(a.model, b.model);
  fuzz::require_same(a.optimizer, b.optimizer);
  fuzz::require_same(a.average, b.average);
  fuzz::require_same(a.ema, b.ema);
  fuzz::require(a.parameters == b.parameters && a.counter == b.counter && a.position == b.position &&
                    a.average_count == b.average_count && a.ema_count == b.ema_count &&
                    a.undecayed == b.undecayed && a.orthogonalized == b.orthogonalized &&
                    a.total_steps == b.total_steps && a.metrics.samples == b.metrics.samples,
                "the same place in the training");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::string_view pickle = input.take(input.take_number(2));
  const std::string storage(input.rest());
  TrainingSnapshot snapshot;
  const auto parse = [&] {
    snapshot = training_from_pickle(
                   pickle, [&](std::string_view) { return storage; }, 8 * size)
                   .snapshot;
  };
  // The storages' bytes count as often as there are keys here, not once as in an archive.
  const fuzz::Bound bound{.per_byte = fuzz::kStateBound.per_byte + size / 8,
                          .constant = fuzz::kStateBound.constant};
  if (!fuzz::accepts(size, bound, parse)) return 0;
  for (const StateDict* state : {&snapshot.model, &snapshot.optimizer, &snapshot.average, &snapshot.ema}) {
    fuzz::require_sound(*state);
  }
  TrainingSnapshot again;
  try {
    again = written_and_read(snapshot);
  } catch (const Error&) {
    return 0;  // a double that no float32 can hold, or tensors that are not a set a parameter
  }
  require_same(again, written_and_read(again));  // not `snapshot`, whose doubles were rounded
  return 0;
}
