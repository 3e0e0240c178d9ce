// cuDNN's backend descriptors with C++ ownership and types: a wrong attribute type does not compile, a
// refused call throws.
#pragma once

#include <cudnn.h>

#include <cstdint>
#include <memory>
#include <source_location>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "convoy/error.h"

namespace convoy::cuda::dnn {

/// A cuDNN call failed. The message has the call, cuDNN's name of the status, its own explanation, file and
/// line.
class CudnnError : public Error {
 public:
  CudnnError(cudnnStatus_t status, const std::string& call, const std::source_location& where);
  cudnnStatus_t status() const { return status_; }

 private:
  cudnnStatus_t status_;
};

/// Throws CudnnError unless `status` is success.
void check(cudnnStatus_t status, const char* call,
           const std::source_location& where = std::source_location::current());

template <typename T>
struct AttributeType;
#define CONVOY_ATTRIBUTE_TYPE(type, tag)                      \
  template <>                                                 \
  struct AttributeType<type> {                                \
    static constexpr cudnnBackendAttributeType_t value = tag; \
  }
CONVOY_ATTRIBUTE_TYPE(std::int64_t, CUDNN_TYPE_INT64);
CONVOY_ATTRIBUTE_TYPE(float, CUDNN_TYPE_FLOAT);
CONVOY_ATTRIBUTE_TYPE(bool, CUDNN_TYPE_BOOLEAN);
CONVOY_ATTRIBUTE_TYPE(char, CUDNN_TYPE_CHAR);
CONVOY_ATTRIBUTE_TYPE(void*, CUDNN_TYPE_VOID_PTR);
CONVOY_ATTRIBUTE_TYPE(cudnnHandle_t, CUDNN_TYPE_HANDLE);
CONVOY_ATTRIBUTE_TYPE(cudnnDataType_t, CUDNN_TYPE_DATA_TYPE);
CONVOY_ATTRIBUTE_TYPE(cudnnConvolutionMode_t, CUDNN_TYPE_CONVOLUTION_MODE);
CONVOY_ATTRIBUTE_TYPE(cudnnPointwiseMode_t, CUDNN_TYPE_POINTWISE_MODE);
CONVOY_ATTRIBUTE_TYPE(cudnnBackendNormMode_t, CUDNN_TYPE_NORM_MODE);
CONVOY_ATTRIBUTE_TYPE(cudnnBackendNormFwdPhase_t, CUDNN_TYPE_NORM_FWD_PHASE);
CONVOY_ATTRIBUTE_TYPE(cudnnResampleMode_t, CUDNN_TYPE_RESAMPLE_MODE);
CONVOY_ATTRIBUTE_TYPE(cudnnPaddingMode_t, CUDNN_TYPE_PADDING_MODE);
CONVOY_ATTRIBUTE_TYPE(cudnnNanPropagation_t, CUDNN_TYPE_NAN_PROPOGATION);
CONVOY_ATTRIBUTE_TYPE(cudnnFraction_t, CUDNN_TYPE_FRACTION);
CONVOY_ATTRIBUTE_TYPE(cudnnBackendHeurMode_t, CUDNN_TYPE_HEUR_MODE);
CONVOY_ATTRIBUTE_TYPE(cudnnBackendNumericalNote_t, CUDNN_TYPE_NUMERICAL_NOTE);
CONVOY_ATTRIBUTE_TYPE(cudnnBackendBehaviorNote_t, CUDNN_TYPE_BEHAVIOR_NOTE);
#undef CONVOY_ATTRIBUTE_TYPE

/// One descriptor. Copies share it, and it keeps alive whatever descriptors it was given.
class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type);

  template <typename T>
  Descriptor& set(cudnnBackendAttributeName_t name, const T& value) {
    return set_raw(name, AttributeType<T>::value, 1, &value);
  }
  template <typename T>
  Descriptor& set(cudnnBackendAttributeName_t name, std::span<T> values) {
    return set_raw(name, AttributeType<std::remove_const_t<T>>::value,
                   static_cast<std::int64_t>(values.size()), values.data());
  }
  Descriptor& set(cudnnBackendAttributeName_t name, const Descriptor& value);
  Descriptor& set(cudnnBackendAttributeName_t name, const std::vector<Descriptor>& values);

  /// To be called once, after the last attribute.
  Descriptor& finalize(const std::source_location& where = std::source_location::current());

  /// One value, or several (no more than `limit`), of a finalised descriptor.
  template <typename T>
  T get(cudnnBackendAttributeName_t name) const {
    T value{};
    get_raw(name, AttributeType<T>::value, 1, &value);
    return value;
  }
  template <typename T>
  std::vector<T> get_all(cudnnBackendAttributeName_t name, std::int64_t limit) const {
    std::vector<T> values(static_cast<std::size_t>(limit));
    values.resize(static_cast<std::size_t>(get_raw(name, AttributeType<T>::value, limit, values.data())));
    return values;
  }
  /// An attribute of characters.
  std::string get_text(cudnnBackendAttributeName_t name) const;
  /// How many values there are.
  std::int64_t count(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type) const;
  /// Fills descriptors that the caller made.
  std::vector<Descriptor> get_descriptors(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type,
                                          std::int64_t limit) const;

  cudnnBackendDescriptor_t raw() const { return state_->handle; }

 private:
  struct State {
    cudnnBackendDescriptor_t handle = nullptr;
    std::vector<Descriptor> children;
    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State();
  };

  Descriptor& set_raw(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t count,
                      const void* values);
  std::int64_t get_raw(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t limit,
                       void* values) const;

  std::shared_ptr<State> state_;
};

}  // namespace convoy::cuda::dnn
