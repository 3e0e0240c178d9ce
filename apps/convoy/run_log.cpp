#include "apps/convoy/run_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace convoy {

namespace fs = std::filesystem;

void RunLog::open(const fs::path& file, std::uint64_t bytes) {
  path_ = file;
  std::error_code missing;
  const std::uint64_t size = fs::file_size(file, missing);
  bytes_ = missing ? 0 : std::min(bytes, size);  // a power cut may have left less than was written
  std::error_code failed;
  if (!missing) fs::resize_file(file, bytes_, failed);
  file_.open(file, std::ios::binary | std::ios::app);
  put_out(std::exchange(waiting_, {}));
}

void RunLog::write(const Json& event) {
  const std::string line = event.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  if (path_.empty()) {
    waiting_ += line;
  } else {
    put_out(line);
  }
}

void RunLog::put_out(const std::string& text) {
  if (file_ << text << std::flush) {
    bytes_ += text.size();
  } else if (!told_) {
    told_ = true;
    say_note(fmt::format("{} cannot be written; the training goes on without it", path_.string()));
  }
}

}  // namespace convoy
