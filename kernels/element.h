// What an activation is stored as. Sums, statistics and parameters are fp32 whatever the activations are.
#pragma once

#include <cstddef>

namespace convoy::kernels {

enum class Element { float32, bfloat16 };

constexpr std::size_t bytes_of(Element element) { return element == Element::float32 ? 4 : 2; }

}  // namespace convoy::kernels
