#include "engine/io/safetensors_json.h"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "convoy/error.h"
#include "engine/io/quote.h"

namespace convoy {
namespace {

constexpr std::string_view kMetadata = "__metadata__";
// Convoy's own limits, where the format has none.
constexpr std::uint64_t kMaxSize = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t kMaxTensors = 100'000;  // as of a pickle
constexpr std::size_t kMaxMetadata = 10'000;

/// Gets the events of the parser, so that nothing is built but what a header may hold, and nothing is nested
/// deeper than its arrays.
class HeaderHandler final : public nlohmann::json_sax<nlohmann::json> {
 public:
  SafetensorsHeader take() { return std::move(header_); }

  bool null() override {
    if (at_ != At::tensors || key_ != kMetadata) wrong_value();
    begin_metadata();
    at_ = At::tensors;
    return true;
  }
  bool boolean(bool /*value*/) override { wrong_value(); }
  bool number_integer(number_integer_t /*value*/) override { wrong_value(); }  // a negative one
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { wrong_value(); }
  bool binary(binary_t& /*value*/) override { wrong_value(); }

  bool number_unsigned(number_unsigned_t value) override {
    if (at_ != At::shape && at_ != At::offsets) wrong_value();
    if (value > kMaxSize)
      fail(fmt::format("its {} has the number {}, which overflows 63 bits", quote(key_), value));
    const bool is_full = numbers_.size() == (at_ == At::shape ? kMaxTensorRank : 2);
    if (is_full) fail(fmt::format("its {} has more than {} numbers", quote(key_), numbers_.size()));
    numbers_.push_back(static_cast<std::int64_t>(value));
    return true;
  }

  bool string(string_t& value) override {
    if (at_ == At::metadata) {
      if (header_.metadata.size() == kMaxMetadata)
        fail(fmt::format("it has more than {} entries", kMaxMetadata));
      if (!header_.metadata.emplace(key_, value).second)
        fail(fmt::format("key {} is there twice", quote(key_)));
    } else if (at_ == At::tensor && key_ == "dtype") {
      tensor().type = value;
    } else {
      wrong_value();
    }
    return true;
  }

  bool start_object(std::size_t /*elements*/) override {
    if (at_ == At::start) {
      at_ = At::tensors;
    } else if (at_ == At::tensors && key_ == kMetadata) {
      begin_metadata();
    } else if (at_ == At::tensors) {
      if (header_.tensors.size() == kMaxTensors)
        throw Error(fmt::format("its header: it has more than {} tensors", kMaxTensors));
      if (!is_tensor_name(key_))
        throw Error(fmt::format("its header: {} is not a tensor's name", quote(key_)));
      header_.tensors.push_back({.name = key_});
      has_type_ = has_shape_ = has_offsets_ = false;
      at_ = At::tensor;
    } else {
      wrong_value();
    }
    return true;
  }

  bool key(string_t& value) override {
    key_ = value;
    if (at_ != At::tensor) return true;
    bool* const has = key_ == "dtype"          ? &has_type_
                      : key_ == "shape"        ? &has_shape_
                      : key_ == "data_offsets" ? &has_offsets_
                                               : nullptr;
    if (has == nullptr) fail(fmt::format("it has an entry {}, which the format does not know", quote(key_)));
    if (std::exchange(*has, true)) fail(fmt::format("its {} is there twice", quote(key_)));
    return true;
  }

  bool end_object() override {
    if (at_ == At::tensor && !(has_type_ && has_shape_ && has_offsets_)) {
      fail("it lacks one of \"dtype\", \"shape\" and \"data_offsets\"");
    }
    at_ = at_ == At::tensors ? At::end : At::tensors;
    return true;
  }

  bool start_array(std::size_t /*elements*/) override {
    if (at_ != At::tensor || key_ == "dtype") wrong_value();
    at_ = key_ == "shape" ? At::shape : At::offsets;
    numbers_.clear();
    return true;
  }

  bool end_array() override {
    if (at_ == At::shape) {
      tensor().shape = Shape(numbers_);
    } else {
      if (numbers_.size() != 2) fail("its \"data_offsets\" are not two numbers");
      tensor().begin = static_cast<std::uint64_t>(numbers_[0]);
      tensor().end = static_cast<std::uint64_t>(numbers_[1]);
    }
    at_ = At::tensor;
    return true;
  }

  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    throw Error(fmt::format("its header is malformed JSON at byte {}", position));
  }

 private:
  enum class At { start, tensors, tensor, shape, offsets, metadata, end };

  void begin_metadata() {
    at_ = At::metadata;
    if (std::exchange(has_metadata_, true)) fail("it is there twice");
  }

  SafetensorsTensor& tensor() { return header_.tensors.back(); }

  [[noreturn]] void fail(const std::string& what) const {
    const bool in_tensor = at_ == At::tensor || at_ == At::shape || at_ == At::offsets;
    throw Error(in_tensor ? fmt::format("its header: tensor {}: {}", quote(header_.tensors.back().name), what)
                          : fmt::format("its header: {}: {}", quote(kMetadata), what));
  }

  [[noreturn]] void wrong_value() const {
    switch (at_) {
      case At::start:
      case At::end:
        throw Error("its header is not a JSON object");
      case At::tensors:
        throw Error(fmt::format("its header: {} is not the description of a tensor", quote(key_)));
      case At::metadata:
        fail(fmt::format("the value of {} is not text", quote(key_)));
      case At::tensor:
        fail(fmt::format("its {} has the wrong type", quote(key_)));
      case At::shape:
      case At::offsets:
        break;
    }
    fail(fmt::format("its {} holds something else than whole numbers from 0 upwards", quote(key_)));
  }

  SafetensorsHeader header_;
  At at_ = At::start;
  std::string key_;  // the last one that was read
  bool has_metadata_ = false, has_type_ = false, has_shape_ = false, has_offsets_ = false;
  std::vector<std::int64_t> numbers_;  // of the array that is open
};

}  // namespace

SafetensorsHeader safetensors_of_json(std::string_view json) {
  if (!json.starts_with('{')) throw Error("its header does not begin with a brace");
  // The parser would take this byte, which JSON does not have, for the end.
  if (json.find('\0') != std::string_view::npos) throw Error("its header has a zero byte");
  HeaderHandler handler;
  nlohmann::json::sax_parse(json.begin(), json.end(), &handler);
  return handler.take();
}

}  // namespace convoy
