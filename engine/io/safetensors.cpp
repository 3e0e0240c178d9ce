#include "convoy/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <new>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "convoy/error.h"
#include "engine/core/atomic_file.h"
#include "engine/core/file.h"
#include "engine/io/little_endian.h"
#include "engine/io/quote.h"
#include "engine/io/safetensors_header.h"
#include "engine/io/state_pickle.h"

namespace convoy {
namespace {

constexpr std::size_t kAlignment = 8;

const char* type_name(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return "F32";
    case DType::int32:
      return "I32";
    case DType::int64:
      return "I64";
    case DType::bfloat16:
    case DType::int8:
      break;  // only devices hold these
  }
  throw Error("a tensor of a type that checkpoints do not hold");
}

std::size_t bytes_in_file(const HostTensor& tensor) { return tensor.values.size() * bytes_of(tensor.dtype); }

std::string json_text(const std::string& text) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    throw Error(fmt::format("{} is not UTF-8", quote(text)));
  }
}

/// The tensors in the order of their bytes: wider elements first, so that each is at a multiple of its own
/// size.
std::vector<const StateDict::value_type*> aligned_order(const StateDict& state) {
  std::vector<const StateDict::value_type*> order;
  for (const StateDict::value_type& entry : state) order.push_back(&entry);
  std::ranges::stable_sort(order, std::greater{},
                           [](const StateDict::value_type* entry) { return bytes_of(entry->second.dtype); });
  return order;
}

void check_names(const StateDict& state) {
  std::unordered_set<std::string_view> names;
  for (const auto& [name, tensor] : state) {
    if (!is_tensor_name(name) || name == "__metadata__") {
      throw Error(fmt::format("{} is not a tensor's name", quote(name)));
    }
    if (!names.insert(name).second) throw Error(fmt::format("there are two tensors {}", quote(name)));
    if (std::ssize(tensor.values) != tensor.shape.count()) {
      throw Error(fmt::format("tensor {}: {} values for its shape {}", quote(name), tensor.values.size(),
                              tensor.shape.str()));
    }
  }
}

/// What stands in front of the data, its length first.
std::string front_of(const StateDict& state, const SafetensorsMetadata& metadata) {
  std::unordered_map<const StateDict::value_type*, std::size_t> begins;
  std::size_t at = 0;
  for (const StateDict::value_type* const entry : aligned_order(state)) {
    begins[entry] = at;
    at += bytes_in_file(entry->second);
  }
  std::string header = "{";
  const auto add = [&header](const std::string& key, const std::string& value) {
    header += fmt::format("{}{}:{}", header.back() == '{' ? "" : ",", json_text(key), value);
  };
  if (!metadata.empty()) {
    std::string texts;
    for (const auto& [key, value] : metadata) {
      texts += fmt::format("{}{}:{}", texts.empty() ? "" : ",", json_text(key), json_text(value));
    }
    add("__metadata__", fmt::format("{{{}}}", texts));
  }
  for (const StateDict::value_type& entry : state) {
    const HostTensor& tensor = entry.second;
    const std::size_t begin = begins[&entry];
    add(entry.first,
        fmt::format(R"({{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})", type_name(tensor.dtype),
                    tensor.shape.str(), begin, begin + bytes_in_file(tensor)));
  }
  header += '}';
  header.append((kAlignment - header.size() % kAlignment) % kAlignment, ' ');
  return to_little_endian(header.size(), 8) + header;
}

/// What `make` returns. Its errors name the file.
template <typename Make>
std::string for_file(const std::filesystem::path& file, Make make) {
  try {
    return make();
  } catch (const Error& error) {
    throw Error(fmt::format("cannot save safetensors {}: {}", file.string(), error.what()));
  }
}

/// Calls `read` with the open file. Every error names the file.
template <typename Read>
auto load(const std::filesystem::path& file, Read read) {
  InputFile input(file);
  try {
    return read(input);
  } catch (const Error& error) {
    throw Error(fmt::format("cannot load checkpoint {}: {}", file.string(), error.what()));
  } catch (const std::bad_alloc&) {  // a sparse file can claim any size
    throw Error(fmt::format("cannot load checkpoint {}: not enough memory", file.string()));
  }
}

}  // namespace

void save_safetensors(const StateDict& state, const std::filesystem::path& file,
                      const SafetensorsMetadata& metadata) {
  const std::string front = for_file(file, [&] {
    check_names(state);
    return front_of(state, metadata);
  });
  write_atomically_in_parts(file, [&](const auto& append) {
    append(front);
    for (const StateDict::value_type* const entry : aligned_order(state)) {
      append(for_file(file, [&] { return storage_bytes(*entry); }));
    }
  });
}

SafetensorsFile load_safetensors(const std::filesystem::path& file) {
  return load(file, [](InputFile& input) {
    SafetensorsHeader header = read_safetensors_header(input);
    SafetensorsFile result{{}, std::move(header.metadata)};
    for (const SafetensorsTensor& tensor : header.tensors) {
      try {
        result.state.emplace_back(tensor.name, read_safetensors(tensor, header.data_begin, input));
      } catch (const Error& error) {
        throw Error(fmt::format("tensor {}: {}", quote(tensor.name), error.what()));
      }
    }
    return result;
  });
}

SafetensorsMetadata read_safetensors_metadata(const std::filesystem::path& file) {
  return load(file, [](InputFile& input) {
    if (!is_safetensors(input.read_text(9))) return SafetensorsMetadata();
    return read_safetensors_header(input).metadata;
  });
}

}  // namespace convoy
