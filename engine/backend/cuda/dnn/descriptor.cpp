#include "engine/backend/cuda/dnn/descriptor.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace convoy::cuda::dnn {
namespace {

// ": " and cuDNN's explanation, if it has one. Asking clears it.
std::string explanation() {
  std::array<char, 1024> text{};
  cudnnGetLastErrorString(text.data(), text.size());
  std::string message(text.data());
  std::ranges::replace(message, '\n', ' ');
  return message.empty() ? message : ": " + message;
}

}  // namespace

CudnnError::CudnnError(cudnnStatus_t status, const std::string& call, const std::source_location& where)
    : Error(fmt::format("{}: {} ({}:{}){}", call, cudnnGetErrorString(status), where.file_name(),
                        where.line(), explanation())),
      status_(status) {}

void check(cudnnStatus_t status, const char* call, const std::source_location& where) {
  if (status != CUDNN_STATUS_SUCCESS) throw CudnnError(status, call, where);
}

Descriptor::State::~State() {
  // A failure here leaks a descriptor at worst; there is nobody to tell.
  if (handle) static_cast<void>(cudnnBackendDestroyDescriptor(handle));
}

Descriptor::Descriptor(cudnnBackendDescriptorType_t type) : state_(std::make_shared<State>()) {
  check(cudnnBackendCreateDescriptor(type, &state_->handle), "cudnnBackendCreateDescriptor");
}

Descriptor& Descriptor::set_raw(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                                std::int64_t count, const void* values) {
  check(cudnnBackendSetAttribute(raw(), name, type, count, values),
        fmt::format("cudnnBackendSetAttribute {}", static_cast<int>(name)).c_str());
  return *this;
}

Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, const Descriptor& value) {
  const cudnnBackendDescriptor_t handle = value.raw();
  set_raw(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &handle);
  state_->children.push_back(value);
  return *this;
}

Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, const std::vector<Descriptor>& values) {
  std::vector<cudnnBackendDescriptor_t> handles;
  for (const Descriptor& value : values) handles.push_back(value.raw());
  set_raw(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, static_cast<std::int64_t>(handles.size()), handles.data());
  state_->children.insert(state_->children.end(), values.begin(), values.end());
  return *this;
}

Descriptor& Descriptor::finalize(const std::source_location& where) {
  check(cudnnBackendFinalize(raw()), "cudnnBackendFinalize", where);
  return *this;
}

std::int64_t Descriptor::get_raw(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                                 std::int64_t limit, void* values) const {
  std::int64_t count = 0;
  check(cudnnBackendGetAttribute(raw(), name, type, limit, &count, values),
        fmt::format("cudnnBackendGetAttribute {}", static_cast<int>(name)).c_str());
  return std::min(count, limit);
}

std::int64_t Descriptor::count(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type) const {
  std::int64_t count = 0;
  check(cudnnBackendGetAttribute(raw(), name, type, 0, &count, nullptr), "cudnnBackendGetAttribute");
  return count;
}

std::string Descriptor::get_text(cudnnBackendAttributeName_t name) const {
  const auto text = get_all<char>(name, count(name, CUDNN_TYPE_CHAR));
  const auto end = std::ranges::find(text, '\0');  // some versions count the terminator
  return {text.begin(), end};
}

std::vector<Descriptor> Descriptor::get_descriptors(cudnnBackendAttributeName_t name,
                                                    cudnnBackendDescriptorType_t type,
                                                    std::int64_t limit) const {
  std::vector<Descriptor> descriptors;
  std::vector<cudnnBackendDescriptor_t> handles;
  for (std::int64_t i = 0; i < limit; ++i) {
    descriptors.emplace_back(type);
    handles.push_back(descriptors.back().raw());
  }
  const std::int64_t count = get_raw(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, limit, handles.data());
  descriptors.erase(descriptors.begin() + count, descriptors.end());
  return descriptors;
}

}  // namespace convoy::cuda::dnn
