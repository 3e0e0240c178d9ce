#include "engine/model/json_text.h"

#include <fmt/format.h>

#include <functional>
#include <set>
#include <vector>

#include "convoy/error.h"
#include "engine/model/text.h"

namespace convoy {
namespace {

constexpr std::size_t kMaxMessage = 200;
// Each Residual takes two levels of brackets. The limit is above infer()'s own, so that infer() reports deep
// Residuals, and small enough for recursive functions, of which nlohmann's copies are some.
constexpr std::size_t kMaxDepth = 64;

/// A callback of the parser. It refuses what parse_json refuses before anything is made of it.
class Watch {
 public:
  Watch(const std::string& source, std::size_t most_keys) : source_(source), most_keys_(most_keys) {}

  bool operator()(int /*depth*/, Json::parse_event_t event, const Json& parsed) {
    using Event = Json::parse_event_t;
    if (event == Event::object_start || event == Event::array_start) {
      if (keys_.size() == kMaxDepth) {
        throw UsageError(fmt::format("{}: JSON is nested more than {} deep", source_, kMaxDepth));
      }
      keys_.emplace_back();
    } else if (event == Event::object_end || event == Event::array_end) {
      keys_.pop_back();
    } else if (event == Event::key) {
      if (keys_.back().size() == most_keys_) {
        throw UsageError(fmt::format("{}: an object has more than {} keys", source_, most_keys_));
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
  std::size_t most_keys_;
  std::vector<std::set<std::string>> keys_;  // seen so far, for each object or array that is open
};

}  // namespace

Json parse_json(const std::string& text, const std::string& source, std::size_t most_keys) {
  try {
    Watch watch(source, most_keys);
    return Json::parse(text, std::ref(watch));
  } catch (const Json::exception& error) {
    const std::string message =
        error.what();  // "[json.exception.parse_error.101] parse error at line 1, ..."
    const std::size_t bracket = message.find("] ");
    const std::string cause = bracket == std::string::npos ? message : message.substr(bracket + 2);
    throw UsageError(fmt::format("{}: malformed JSON: {}", source, one_line(cause, kMaxMessage)));
  }
}

}  // namespace convoy
