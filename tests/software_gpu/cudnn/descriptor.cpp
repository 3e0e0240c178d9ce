#include "tests/software_gpu/cudnn/descriptor.h"

#include <algorithm>
#include <cstring>

namespace software_gpu {
namespace {

std::size_t size_of(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_DOUBLE:
      return 8;
    case CUDNN_TYPE_FRACTION:
      return sizeof(cudnnFraction_t);
    case CUDNN_TYPE_BOOLEAN:
    case CUDNN_TYPE_CHAR:
      return 1;
    default:
      return 4;  // float and the enumerations
  }
}

[[noreturn]] void refuse(cudnnStatus_t status, const Descriptor& d, cudnnBackendAttributeName_t name,
                         const char* what) {
  throw Refusal{status, "descriptor type " + std::to_string(d.type) + ", attribute " + std::to_string(name) +
                            ": " + what};
}

const Rule& rule_for(const Descriptor& d, cudnnBackendAttributeName_t name) {
  for (const Rule& rule : *rules_of(d.type)) {
    if (rule.name == name) return rule;
  }
  refuse(CUDNN_STATUS_NOT_SUPPORTED, d, name, "the descriptor has no such attribute to set");
}

}  // namespace

void Descriptor::set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t value_type,
                     std::int64_t count, const void* values) {
  if (finalized) refuse(CUDNN_STATUS_BAD_PARAM, *this, name, "is set after finalising");
  const Rule& rule = rule_for(*this, name);
  if (value_type != rule.type) refuse(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, *this, name, "has another type");
  if (count < rule.least || count > rule.most) {
    refuse(CUDNN_STATUS_BAD_PARAM_SIZE_INSUFFICIENT, *this, name, "has another number of values");
  }
  if (!values) refuse(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, *this, name, "has no values");
  if (has(name)) refuse(CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES, *this, name, "is set twice");
  if (name == CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION &&
      (has(CUDNN_ATTR_EXECUTION_PLAN_HANDLE) || has(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP))) {
    refuse(CUDNN_STATUS_BAD_PARAM, *this, name, "NVIDIA's front end sets a plan's text before its device");
  }

  Attribute attribute;
  attribute.count = count;
  if (value_type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    const auto* handles = static_cast<const cudnnBackendDescriptor_t*>(values);
    for (std::int64_t i = 0; i < count; ++i) {
      const Pointer given = descriptor_of(handles[i]);
      if (!given->finalized) refuse(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, *this, name, "is not finalised");
      if (name != CUDNN_ATTR_OPERATIONGRAPH_OPS && given->type != rule.child) {
        refuse(CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE, *this, name, "is another descriptor");
      }
      attribute.children.push_back(given);
    }
  } else {
    const auto* bytes = static_cast<const char*>(values);
    attribute.bytes.assign(bytes, bytes + static_cast<std::size_t>(count) * size_of(value_type));
  }
  attributes[name] = std::move(attribute);
}

void Descriptor::get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t value_type,
                     std::int64_t requested, std::int64_t* count, void* values) const {
  if (!finalized) refuse(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, *this, name, "is read before finalising");
  const auto give = [&](cudnnBackendAttributeType_t own_type, const void* from, std::size_t have) {
    if (value_type != own_type)
      refuse(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, *this, name, "has another type");
    if (count) *count = static_cast<std::int64_t>(have);
    const std::size_t given = std::min(have, static_cast<std::size_t>(requested));
    if (values && given > 0) std::memcpy(values, from, given * size_of(own_type));
  };
  // Into descriptors that the caller made.
  const auto give_descriptors = [&](cudnnBackendDescriptorType_t child, const std::vector<Engine>& found) {
    if (value_type != CUDNN_TYPE_BACKEND_DESCRIPTOR) {
      refuse(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, *this, name, "has another type");
    }
    if (count) *count = static_cast<std::int64_t>(found.size());
    auto* handles = static_cast<cudnnBackendDescriptor_t*>(values);
    for (std::size_t i = 0; values && i < std::min(found.size(), static_cast<std::size_t>(requested)); ++i) {
      Descriptor& d = *descriptor_of(handles[i]);
      if (d.type != child)
        refuse(CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE, *this, name, "goes into another descriptor");
      d.finalized = true;
      d.program = program;
      d.by_handle = by_handle;
      d.engine = found[i];
    }
  };

  switch (static_cast<int>(name)) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS:
      return give_descriptors(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, engines);
    case CUDNN_ATTR_ENGINECFG_ENGINE:
      return give_descriptors(CUDNN_BACKEND_ENGINE_DESCRIPTOR, {engine});
    case CUDNN_ATTR_ENGINE_GLOBAL_INDEX:
      return give(CUDNN_TYPE_INT64, &engine.index, 1);
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
      return give(CUDNN_TYPE_NUMERICAL_NOTE, engine.numerical.data(), engine.numerical.size());
    case CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE:
      return give(CUDNN_TYPE_BEHAVIOR_NOTE, engine.behavior.data(), engine.behavior.size());
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
      return give(CUDNN_TYPE_INT64, &engine.workspace, 1);
    case CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION:
    case CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION:
      return give(CUDNN_TYPE_CHAR, json.c_str(),
                  json.size() + 1);  // with its terminator, as some versions do
    default:
      refuse(CUDNN_STATUS_NOT_SUPPORTED, *this, name, "cannot be read");
  }
}

}  // namespace software_gpu
