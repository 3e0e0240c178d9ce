// What comes back through the backend's interface, as what this backend made.
#pragma once

#include "engine/core/error.h"

namespace convoy::cuda {

/// Throws Error if another backend made it.
template <typename Own, typename Base>
Own& own(Base& base) {
  auto* result = dynamic_cast<Own*>(&base);
  if (!result) throw Error("an object of another backend was passed to the CUDA backend");
  return *result;
}

}  // namespace convoy::cuda
