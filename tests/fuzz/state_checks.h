// What must hold of a state dict, or of all tensors, that were read from a file.
#pragma once

#include <bit>

#include "convoy/host_tensor.h"
#include "engine/io/contents.h"
#include "tests/fuzz/fuzz.h"

namespace convoy::fuzz {

/// A state dict takes 8 bytes a value, and a file of n bytes 8 n values at most. Beside it, a pickle's
/// objects take 70 bytes for a byte, and a storage is held while it is read.
constexpr Bound kStateBound{.per_byte = 200, .constant = 1 << 20};

inline void require_sound(const StateDict& state) {
  for (const auto& [name, tensor] : state) {
    require(std::ssize(tensor.values) == tensor.shape.count(),
            "a tensor has as many values as its shape says");
  }
}

inline void require_counted(const StoredTensor& tensor) {
  const ElementSummary& elements = tensor.elements;
  require(tensor.problem.empty() == (tensor.reading == Reading::read), "a tensor has a problem, or is read");
  require(tensor.reading != Reading::read ||
              elements.finite + elements.nan + elements.infinite == tensor.shape.count(),
          "every element of a tensor is counted");
  require(elements.finite == 0 || elements.min <= elements.max, "the minimum is not above the maximum");
}

/// Equal to the bit; a NaN equals itself.
inline void require_same(const StateDict& a, const StateDict& b) {
  require(a.size() == b.size(), "as many tensors");
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto& [name, tensor] = a[i];
    const auto& [other_name, other] = b[i];
    require(name == other_name && tensor.shape == other.shape && tensor.dtype == other.dtype,
            "the same tensors in the same order");
    for (std::size_t k = 0; k < tensor.values.size(); ++k) {
      require(std::bit_cast<std::uint64_t>(tensor.values[k]) == std::bit_cast<std::uint64_t>(other.values[k]),
              "the same values");
    }
  }
}

/// What was read can be written and read again, and then stays the same to the bit.
template <typename WriteAndRead>
void require_survives(const StateDict& state, WriteAndRead written_and_read) {
  StateDict again;
  try {
    again = written_and_read(state);
  } catch (const Error&) {
    return;  // a double that no float32 can hold
  }
  require_same(again, written_and_read(again));  // not `state`, whose doubles were rounded
}

}  // namespace convoy::fuzz
