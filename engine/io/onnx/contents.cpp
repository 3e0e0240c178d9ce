#include "engine/io/onnx/contents.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <new>
#include <set>
#include <utility>

#include "convoy/error.h"
#include "engine/io/onnx/file.h"
#include "engine/io/pickled_contents.h"
#include "engine/io/quote.h"
#include "engine/model/text.h"

namespace convoy {
namespace {

using ::onnx::ModelProto;
using ::onnx::TensorProto;
using ::onnx::ValueInfoProto;

constexpr std::size_t kMostListed = 16;  // of anything but tensors
constexpr std::size_t kLongestWord = 40;

/// A short list in words, "and 3 more" behind it.
std::string listed(const std::vector<std::string>& words) {
  const std::size_t shown = std::min(words.size(), kMostListed);
  std::string text =
      fmt::format("{}", fmt::join(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
  if (shown < words.size()) text += fmt::format(" and {} more", words.size() - shown);
  return text;
}

std::string type_in_words(int type) {
  if (const auto element = element_type(type)) return name_of(*element);
  if (!TensorProto::DataType_IsValid(type)) return fmt::format("type {}", type);
  return TensorProto::DataType_Name(static_cast<TensorProto::DataType>(type));
}

/// "float32 [batch, 1, 28, 28]".
std::string in_words(const ValueInfoProto& value) {
  if (!value.type().has_tensor_type()) return "no tensor";
  const auto& tensor = value.type().tensor_type();
  std::vector<std::string> sizes;
  for (const auto& size : tensor.shape().dim()) {
    sizes.push_back(size.has_dim_value()   ? std::to_string(size.dim_value())
                    : size.has_dim_param() ? one_line(size.dim_param(), kLongestWord)
                                           : "?");
  }
  return fmt::format("{} [{}]", type_in_words(tensor.elem_type()), listed(sizes));
}

/// "10: 2 BatchNormalization, 2 Conv, ...", most of them first.
std::string operators_in_words(const ::onnx::GraphProto& graph) {
  std::map<std::string, int> counts;
  for (const auto& node : graph.node()) ++counts[one_line(node.op_type(), kLongestWord)];
  std::vector<std::pair<std::string, int>> sorted(counts.begin(), counts.end());
  std::ranges::stable_sort(sorted, [](const auto& a, const auto& b) { return a.second > b.second; });
  std::vector<std::string> words;
  for (const auto& [type, count] : sorted) words.push_back(fmt::format("{} {}", count, type));
  return fmt::format("{}: {}", graph.node_size(), listed(words));
}

class Teller {
 public:
  Teller(const ModelProto& message, std::filesystem::path folder)
      : message_(message), external_(elements_beside(std::move(folder))) {}

  FileContents tell() {
    contents_.kind = "an ONNX model";
    tell_file();
    tell_ends();
    for (const TensorProto& tensor : message_.graph().initializer()) tell_tensor(tensor.name(), tensor);
    for (const auto& node : message_.graph().node()) {
      if (node.op_type() != "Constant" || node.output_size() != 1) continue;
      for (const auto& attribute : node.attribute()) {
        if (attribute.has_t()) tell_tensor(node.output(0), attribute.t());
      }
    }
    if (!tensors_.empty()) contents_.groups.push_back({.place = {}, .tensors = std::move(tensors_)});
    std::vector<std::string> files;
    for (const std::string& file : files_) files.push_back(quote(file));
    if (!files.empty()) say("elements in", listed(files));
    for (const auto& entry : message_.metadata_props()) contents_.metadata[entry.key()] = entry.value();
    return std::move(contents_);
  }

 private:
  void say(std::string what, std::string words) {
    contents_.values.emplace_back(std::move(what), std::move(words));
  }

  void tell_file() {
    std::vector<std::string> opsets;
    for (const auto& opset : message_.opset_import()) {
      const bool standard = opset.domain().empty() || opset.domain() == "ai.onnx";
      opsets.push_back(standard ? std::to_string(opset.version())
                                : fmt::format("{} {}", quote(opset.domain()), opset.version()));
    }
    if (!message_.producer_name().empty()) {
      say("made by",
          one_line(message_.producer_name() + " " + message_.producer_version(), 2 * kLongestWord));
    }
    say("IR version", std::to_string(message_.ir_version()));
    say("opset", listed(opsets));
    if (!message_.graph().name().empty()) say("graph", quote(message_.graph().name()));
    say("nodes", operators_in_words(message_.graph()));
  }

  void tell_ends() {
    std::set<std::string_view> given;
    for (const TensorProto& tensor : message_.graph().initializer()) given.insert(tensor.name());
    std::size_t told = 0;
    const auto tell = [&](const char* what, const ValueInfoProto& value) {
      if (++told <= kMostListed) say(fmt::format("{} {}", what, quote(value.name())), in_words(value));
    };
    for (const auto& value : message_.graph().input()) {
      if (!given.contains(value.name())) tell("input", value);  // old files list initializers as well
    }
    for (const auto& value : message_.graph().output()) tell("output", value);
    if (told > kMostListed) contents_.left_out = told - kMostListed;
  }

  void tell_tensor(const std::string& name, const TensorProto& tensor) {
    StoredTensor& stored = tensors_.emplace_back();
    stored.name = name;
    if (tensor.data_location() == TensorProto::EXTERNAL && files_.size() <= kMostListed) {
      for (const auto& entry : tensor.external_data()) {
        if (entry.key() == "location") files_.insert(entry.value());
      }
    }
    summarize_into(stored, [&] {
      stored.shape = shape_of(tensor);
      stored.type = type_in_words(tensor.data_type());
      return elements_of(tensor, external_);
    });
  }

  const ModelProto& message_;
  ExternalBytes external_;
  FileContents contents_;
  std::vector<StoredTensor> tensors_;
  std::set<std::string> files_;
};

}  // namespace

FileContents onnx_contents_of(const std::filesystem::path& file) {
  InputFile input(file);
  try {
    const ModelProto message = read_message(input);
    return Teller(message, file.parent_path()).tell();
  } catch (const Error& error) {
    throw Error(fmt::format("cannot read {}: {}", file.string(), error.what()));
  } catch (const std::bad_alloc&) {
    throw Error(fmt::format("cannot read {}: not enough memory", file.string()));
  }
}

}  // namespace convoy
