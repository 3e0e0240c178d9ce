// An operation graph as values: what the descriptors said, and what a serialised plan says again.
#pragma once

#include <cudnn.h>

#include <array>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

namespace software_gpu {

using Dims = std::array<std::int64_t, 4>;  // N,C,H,W of an image; K,C,R,S of a weight

struct TensorInfo {
  std::int64_t uid = 0;
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  Dims dims{};
  std::int64_t alignment = 0;  // bytes
  bool is_virtual = false;
  bool by_value = false;

  std::int64_t count() const { return dims[0] * dims[1] * dims[2] * dims[3]; }
  std::size_t bytes() const;
  bool operator==(const TensorInfo&) const = default;
};

struct OperationInfo {
  cudnnBackendDescriptorType_t type{};
  int mode = 0;                                             // pointwise mode, norm phase or resample mode
  std::map<std::string, std::int64_t> operands;             // "x" -> unique id
  std::set<std::string> outputs;                            // which of them are written
  std::map<std::string, std::vector<std::int64_t>> window;  // "padding", "stride", "dilation", "kernel"

  bool has(const std::string& operand) const { return operands.contains(operand); }
};

struct Program {
  std::map<std::int64_t, TensorInfo> tensors;
  std::vector<OperationInfo> operations;

  const TensorInfo& tensor(const OperationInfo& op, const std::string& operand) const {
    return tensors.at(op.operands.at(operand));
  }
  /// Ids of the tensors that some operation writes.
  std::set<std::int64_t> written() const;
};

nlohmann::json to_json(const Program& program);
/// Throws nlohmann::json::exception.
Program program_from(const nlohmann::json& json);

/// What is wrong with an operation, or with how the operations are connected; empty if nothing is.
std::string check_operation(const Program& program, const OperationInfo& operation);
std::string check_connections(const Program& program);

}  // namespace software_gpu
