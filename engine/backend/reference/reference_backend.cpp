#include "engine/backend/reference/reference_backend.h"

#include <fmt/format.h>

#include "engine/backend/checks.h"
#include "engine/backend/reference/reference.h"

namespace convoy {
namespace reference {

template <typename T>
std::string ReferenceBackend<T>::description() const {
  return fmt::format("plain loops on one thread, {} storage, double sums", kDouble ? "double" : "float");
}

template std::string ReferenceBackend<float>::description() const;
template std::string ReferenceBackend<double>::description() const;

}  // namespace reference

std::unique_ptr<Backend> make_reference_backend(const DeviceOptions& options) {
  require_fp32("reference", options);
  return std::make_unique<reference::ReferenceBackend<float>>(options);
}

std::unique_ptr<Backend> make_double_reference_backend() {
  return std::make_unique<reference::ReferenceBackend<double>>();
}

}  // namespace convoy
