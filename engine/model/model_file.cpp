#include "convoy/model_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <fstream>
#include <functional>
#include <set>
#include <system_error>
#include <vector>

#include "convoy/error.h"
#include "engine/model/model_json.h"
#include "engine/model/text.h"

namespace convoy {
namespace {

constexpr std::size_t kMaxFileBytes = 1 << 20;
constexpr std::size_t kMaxMessage = 200;
// Each Residual takes two levels of brackets. The limit is above infer()'s own, so that infer() reports deep
// Residuals, and small enough for recursive functions.
constexpr std::size_t kMaxJsonDepth = 64;
// No layer has half as many keys. A limit is needed because looking up a key takes linear time.
constexpr std::size_t kMaxKeys = 32;

/// A callback of the parser. It refuses deep nesting before any function recurses over it, and repeated keys,
/// of which the parser would silently drop all but one.
class Watch {
 public:
  explicit Watch(const std::string& source) : source_(source) {}

  bool operator()(int /*depth*/, Json::parse_event_t event, const Json& parsed) {
    using Event = Json::parse_event_t;
    if (event == Event::object_start || event == Event::array_start) {
      if (keys_.size() == kMaxJsonDepth) {
        throw UsageError(fmt::format("{}: JSON is nested more than {} deep", source_, kMaxJsonDepth));
      }
      keys_.emplace_back();
    } else if (event == Event::object_end || event == Event::array_end) {
      keys_.pop_back();
    } else if (event == Event::key) {
      if (keys_.back().size() == kMaxKeys) {
        throw UsageError(fmt::format("{}: an object has more than {} keys", source_, kMaxKeys));
      }
      const auto& key = parsed.get_ref<const std::string&>();
      if (!keys_.back().insert(key).second) {
        throw UsageError(fmt::format("{}: key {} appears twice in one object", source_, in_quotes(key)));
      }
    }
    return true;
  }

 private:
  const std::string& source_;
  std::vector<std::set<std::string>> keys_;  // seen so far, for each object or array that is open
};

Json parse_json(const std::string& text, const std::string& source) {
  if (text.size() > kMaxFileBytes) {
    throw UsageError(
        fmt::format("{}: is larger than {} bytes, so it is no model file", source, kMaxFileBytes));
  }
  try {
    Watch watch(source);
    return Json::parse(text, std::ref(watch));
  } catch (const Json::exception& error) {
    const std::string message =
        error.what();  // "[json.exception.parse_error.101] parse error at line 1, ..."
    const std::size_t bracket = message.find("] ");
    const std::string cause = bracket == std::string::npos ? message : message.substr(bracket + 2);
    throw UsageError(fmt::format("{}: malformed JSON: {}", source, one_line(cause, kMaxMessage)));
  }
}

/// Used for reading and writing, so that every file that is written can be read.
void require_model_name(const std::string& name, const std::string& source) {
  if (!is_layer_name(name)) {
    throw UsageError(
        fmt::format("{}: model name {} must be letters, digits, '_' and '-' in parts joined by single "
                    "dots, 128 at most",
                    source, in_quotes(name)));
  }
}

}  // namespace

Model parse_model(const std::string& json, const std::string& source) {
  Model model = model_of_json(parse_json(json, source), source);
  require_model_name(model.name, source);
  try {
    infer(model, 1);
  } catch (const UsageError& error) {
    throw UsageError(fmt::format("{}: {}", source, error.what()));
  }
  return model;
}

Model load_model(const std::filesystem::path& file) {
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored)) {
    throw Error(fmt::format("{}: is a folder, not a model file", file.string()));
  }
  errno = 0;
  std::ifstream stream(file, std::ios::binary);
  if (!stream) {
    throw Error(
        fmt::format("{}: cannot be opened: {}", file.string(), std::generic_category().message(errno)));
  }
  std::string text(kMaxFileBytes + 1, '\0');  // one byte more than allowed, to notice a larger file
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad()) throw Error(fmt::format("{}: cannot be read", file.string()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  return parse_model(text, file.string());
}

std::string to_json(const Model& model) {
  require_model_name(model.name, "model");
  infer(model, 1);
  return json_of_model(model).dump(2) + "\n";
}

}  // namespace convoy
