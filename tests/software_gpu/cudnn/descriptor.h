// Backend descriptors: every attribute is checked against a table of what each descriptor takes.
#pragma once

#include <cudnn.h>

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tests/software_gpu/cudnn/engines.h"
#include "tests/software_gpu/cudnn/program.h"

namespace software_gpu {

/// A call is refused: the status, and what cudnnGetLastErrorString says.
struct Refusal {
  cudnnStatus_t status;
  std::string text;
};

/// What an attribute of a descriptor must be.
struct Rule {
  cudnnBackendAttributeName_t name;
  cudnnBackendAttributeType_t type;
  std::int64_t least;  // values
  std::int64_t most;
  bool required;
  const char* key = nullptr;  // an operand's name, or a window's
  enum class Use { plain, input, output } use = Use::plain;
  cudnnBackendDescriptorType_t child = CUDNN_BACKEND_TENSOR_DESCRIPTOR;  // of descriptors
};

/// Null if the descriptor type is not simulated.
const std::vector<Rule>* rules_of(cudnnBackendDescriptorType_t type);

struct Descriptor {
  using Pointer = std::shared_ptr<Descriptor>;
  struct Attribute {
    std::int64_t count = 0;
    std::vector<char> bytes;
    std::vector<Pointer> children;
  };

  cudnnBackendDescriptorType_t type{};
  bool finalized = false;
  std::map<cudnnBackendAttributeName_t, Attribute> attributes;

  // What finalising found out, by type.
  TensorInfo tensor;
  OperationInfo operation;
  std::shared_ptr<const Program> program;  // of graphs and all that is made of them
  Engine engine;
  std::vector<Engine> engines;  // a heuristic's results
  std::string json;             // of devices and plans
  bool by_handle = false;       // of graphs and what is made of them: for the handle's device

  bool has(cudnnBackendAttributeName_t name) const { return attributes.contains(name); }
  template <typename T>
  std::span<const T> values(cudnnBackendAttributeName_t name) const {
    const Attribute& a = attributes.at(name);
    return {reinterpret_cast<const T*>(a.bytes.data()), a.bytes.size() / sizeof(T)};
  }
  template <typename T>
  T value(cudnnBackendAttributeName_t name) const {
    return values<T>(name)[0];
  }
  const Descriptor& child(cudnnBackendAttributeName_t name) const {
    return *attributes.at(name).children.at(0);
  }

  /// All three throw Refusal.
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t count,
           const void* values);
  void finalize();
  void get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t requested,
           std::int64_t* count, void* values) const;
};

/// The descriptor behind a handle. Throws Refusal.
Descriptor::Pointer descriptor_of(cudnnBackendDescriptor_t handle);

}  // namespace software_gpu
