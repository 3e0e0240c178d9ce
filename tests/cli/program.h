// Runs the built program and keeps what it said.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/temporary_folder.h"

namespace convoy::test {

struct Outcome {
  int code = 0;  // the exit code, or 128 + the signal that killed it
  std::string out;
  std::string err;
};

/// Where and with which variables the program runs. CONVOY_DATA, NO_COLOR, TERM and COLORTERM are not
/// inherited.
struct Surroundings {
  std::filesystem::path folder;  // the working folder
  std::map<std::string, std::string> environment = {};
  std::string program = {};  // empty for `convoy`: what CONVOY_PROGRAM names, else the build's
  std::filesystem::path input = "/dev/null";  // standard input
};

Outcome run(const std::vector<std::string>& arguments, const Surroundings& surroundings);

/// The same with a file for standard output, which stays unread.
Outcome run_into(const std::filesystem::path& file, const std::vector<std::string>& arguments,
                 const Surroundings& surroundings);

/// The same with a terminal for standard output; `out` then has its carriage returns and escapes.
Outcome run_on_terminal(const std::vector<std::string>& arguments, const Surroundings& surroundings,
                        unsigned short columns = 80);

/// Starts it, sends `signal` so many times once its standard output holds `text`, and waits.
Outcome run_and_signal(const std::vector<std::string>& arguments, const Surroundings& surroundings,
                       const std::string& text, int signal, int times = 1);

std::vector<std::string> lines(const std::string& text);

/// Each line of `text` as an object; a line that is no JSON fails the test.
std::vector<nlohmann::json> json_lines(const std::string& text);

/// The files under a folder, relative to it, sorted.
std::vector<std::string> files_under(const std::filesystem::path& folder);

}  // namespace convoy::test
