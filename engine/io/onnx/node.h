// A node of an ONNX graph: what messages call it, and its attributes. A reader asks for every attribute that
// it knows; one that nobody asked for is an error, because it may change what the node computes.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace convoy {

/// `node "NAME" (OPERATOR)`. A node without a name has that of its output.
std::string described(const ::onnx::NodeProto& node);

/// Throws Error `node "NAME" (OPERATOR): PROBLEM`.
[[noreturn]] void fail(const ::onnx::NodeProto& node, const std::string& problem);

class Attributes {
 public:
  explicit Attributes(const ::onnx::NodeProto& node) : node_(node) {}

  // Each throws Error for an attribute of another type.
  std::int64_t integer(std::string_view name, std::int64_t otherwise);
  double real(std::string_view name, double otherwise);
  std::string text(std::string_view name, const std::string& otherwise);
  std::optional<std::vector<std::int64_t>> integers(std::string_view name);  // nothing if it is not there

  /// Throws Error unless the attribute is not there or has that value.
  void expect(std::string_view name, std::int64_t only);

  /// For what changes nothing.
  void ignore(std::string_view name) { known_.push_back(name); }

  /// Throws Error that names an attribute that was not asked for.
  void expect_no_more() const;

 private:
  const ::onnx::AttributeProto* find(std::string_view name, ::onnx::AttributeProto::AttributeType type);

  const ::onnx::NodeProto& node_;
  std::vector<std::string_view> known_;
};

/// The shortest decimal number that is this float: ONNX keeps 1e-5 as the float next to it.
double shortest(float value);

}  // namespace convoy
