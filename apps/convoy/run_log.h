// The events of a training in its folder: log.jsonl, an object a line, as --json prints them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "apps/convoy/terminal.h"

namespace convoy {

class RunLog {
 public:
  /// Until this is called, events are kept in memory. Keeps the first `bytes` of the file, and goes on behind
  /// them. A file that cannot be written is told once, and is no reason to end a training.
  void open(const std::filesystem::path& file, std::uint64_t bytes);

  void write(const Json& event);

  /// Whether it was opened: the folder is the training's.
  bool is_open() const { return !path_.empty(); }

  /// What the file holds by now.
  std::uint64_t bytes() const { return bytes_; }

 private:
  void put_out(const std::string& text);

  std::filesystem::path path_;
  std::ofstream file_;
  std::string waiting_;
  std::uint64_t bytes_ = 0;
  bool told_ = false;
};

}  // namespace convoy
