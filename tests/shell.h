// A program in a shell, for programs that are meant to crash.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

namespace convoy {

struct ShellResult {
  int code = -1;       // of the shell: 128 + the signal that ended the program
  std::string output;  // and errors
};

inline ShellResult run_in_shell(const std::string& command) {
  ShellResult result;
  // With an `exit` behind it the command is not the shell itself, which then turns a signal into a code.
  std::FILE* pipe = popen(("exec 2>&1; " + command + "; exit $?").c_str(), "r");
  if (pipe == nullptr) {
    ADD_FAILURE() << "no shell for " << command;
    return result;
  }
  std::array<char, 4096> buffer{};
  while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    result.output.append(buffer.data(), count);
  }
  const int status = pclose(pipe);
  if (WIFEXITED(status)) result.code = WEXITSTATUS(status);
  return result;
}

}  // namespace convoy
