#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include "convoy/error.h"
#include "engine/io/pickler.h"
#include "engine/io/quote.h"
#include "engine/io/state_pickle.h"
#include "engine/io/tensor_record.h"

namespace convoy {
namespace {

template <typename T>
void append(std::string& bytes, T value) {
  char raw[sizeof value];
  std::memcpy(raw, &value, sizeof value);
  bytes.append(raw, sizeof value);
}

template <typename T>
std::optional<T> to_integer(double value) {
  // The integers that a reader can represent: all of int32, and int64 up to 2^53.
  constexpr auto kLow =
      static_cast<double>(std::max<std::int64_t>(std::numeric_limits<T>::min(), -kMaxExactInteger));
  constexpr auto kHigh =
      static_cast<double>(std::min<std::int64_t>(std::numeric_limits<T>::max(), kMaxExactInteger));
  if (!(value >= kLow && value <= kHigh) || value != std::trunc(value)) return std::nullopt;
  return static_cast<T>(value);
}

std::optional<float> to_float(double value) {
  if (std::isfinite(value) && std::abs(value) > std::numeric_limits<float>::max()) return std::nullopt;
  return static_cast<float>(value);
}

template <typename T>
std::string convert(const StateDict::value_type& entry, std::optional<T> (*to)(double)) {
  std::string bytes;
  bytes.reserve(entry.second.values.size() * sizeof(T));
  for (const double value : entry.second.values) {
    const std::optional<T> converted = to(value);
    if (!converted)
      throw Error(fmt::format("tensor {}: its value {} does not fit its type", quote(entry.first), value));
    append(bytes, *converted);
  }
  return bytes;
}

}  // namespace

std::string state_to_pickle(const StateDict& state) { return pickle::Pickler().state(state).stop(); }

std::string storage_bytes(const StateDict::value_type& entry) {
  switch (entry.second.dtype) {
    case DType::float32:
      return convert<float>(entry, to_float);
    case DType::int32:
      return convert<std::int32_t>(entry, to_integer);
    case DType::int64:
      return convert<std::int64_t>(entry, to_integer);
    case DType::bfloat16:
    case DType::int8:
      break;  // refused by the pickler already
  }
  throw Error("a tensor of a type that checkpoints do not hold");
}

}  // namespace convoy
