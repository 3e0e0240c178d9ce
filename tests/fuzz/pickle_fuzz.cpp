// The pickle of a checkpoint: its size (2 bytes), the pickle, and then the bytes that every storage has.
#include <string>

#include "engine/io/state_pickle.h"
#include "tests/fuzz/state_checks.h"

using namespace convoy;

namespace {

StateDict written_and_read(const StateDict& state) {
  const auto storage = [&](std::string_view key) {
    return storage_bytes(state.at(std::stoul(std::string(key))));
  };
  constexpr std::uint64_t kAnyNumber = std::uint64_t{1} << 40;
  return state_from_pickle(state_to_pickle(state), storage, kAnyNumber).state;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::string_view pickle = input.take(input.take_number(2));
  const std::string storage(input.rest());
  StateDict state;
  const auto parse = [&] {
    // As checkpoint.cpp limits it.
    state = state_from_pickle(
                pickle, [&](std::string_view) { return storage; }, 8 * size)
                .state;
  };
  // The storages' bytes count as often as there are keys here, not once as in an archive.
  const fuzz::Bound bound{.per_byte = fuzz::kStateBound.per_byte + size / 8,
                          .constant = fuzz::kStateBound.constant};
  if (!fuzz::accepts(size, bound, parse)) return 0;
  fuzz::require_sound(state);
  fuzz::require_survives(state, written_and_read);
  return 0;
}
