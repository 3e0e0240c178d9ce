#include "engine/io/onnx/node.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "convoy/error.h"
#include "engine/io/quote.h"
#include "engine/model/text.h"

namespace convoy {

using ::onnx::AttributeProto;

std::string described(const ::onnx::NodeProto& node) {
  constexpr std::size_t kMostOfOperator = 40;
  const std::string name = !node.name().empty() ? node.name() : node.output_size() > 0 ? node.output(0) : "";
  return fmt::format("node {} ({})", quote(name), one_line(node.op_type(), kMostOfOperator));
}

void fail(const ::onnx::NodeProto& node, const std::string& problem) {
  throw Error(fmt::format("{}: {}", described(node), problem));
}

const AttributeProto* Attributes::find(std::string_view name, AttributeProto::AttributeType type) {
  known_.push_back(name);
  const auto found =
      std::ranges::find_if(node_.attribute(), [&](const auto& other) { return other.name() == name; });
  if (found == node_.attribute().end()) return nullptr;
  // Files of before 2017 do not say the type.
  if (found->type() != type && found->type() != AttributeProto::UNDEFINED) {
    fail(node_, fmt::format("its attribute {} has another type than ONNX gives it", name));
  }
  return &*found;
}

std::int64_t Attributes::integer(std::string_view name, std::int64_t otherwise) {
  const AttributeProto* found = find(name, AttributeProto::INT);
  return found == nullptr ? otherwise : found->i();
}

double Attributes::real(std::string_view name, double otherwise) {
  const AttributeProto* found = find(name, AttributeProto::FLOAT);
  return found == nullptr ? otherwise : shortest(found->f());
}

std::string Attributes::text(std::string_view name, const std::string& otherwise) {
  const AttributeProto* found = find(name, AttributeProto::STRING);
  return found == nullptr ? otherwise : found->s();
}

std::optional<std::vector<std::int64_t>> Attributes::integers(std::string_view name) {
  const AttributeProto* found = find(name, AttributeProto::INTS);
  if (found == nullptr) return std::nullopt;
  return std::vector<std::int64_t>(found->ints().begin(), found->ints().end());
}

void Attributes::expect(std::string_view name, std::int64_t only) {
  const std::int64_t value = integer(name, only);
  if (value != only) {
    fail(node_, fmt::format("its attribute {} is {}; only {} can be read", name, value, only));
  }
}

void Attributes::expect_no_more() const {
  for (const AttributeProto& attribute : node_.attribute()) {
    if (std::ranges::find(known_, attribute.name()) == known_.end()) {
      fail(node_, fmt::format("its attribute {} is not known", quote(attribute.name())));
    }
  }
}

double shortest(float value) {
  char text[32];
  const auto written = std::to_chars(text, text + sizeof text, value);
  double number = value;
  std::from_chars(text, written.ptr, number);  // leaves `number` as it is for what is no decimal: inf, nan
  return number;
}

}  // namespace convoy
