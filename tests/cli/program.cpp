#include "tests/cli/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "tests/paths.h"

extern char** environ;

namespace convoy::test {
namespace {

namespace fs = std::filesystem;

void check(int error, const char* call) {
  if (error != 0) throw std::runtime_error(fmt::format("{}: {}", call, std::strerror(error)));
}

std::vector<std::string> environment_of(const Surroundings& surroundings) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string variable = *entry;
    const std::string name = variable.substr(0, variable.find('='));
    const bool replaced = surroundings.environment.contains(name);  // of two entries the first would count
    if (name != "CONVOY_DATA" && name != "NO_COLOR" && name != "TERM" && name != "COLORTERM" &&
        name != "CONVOY_CACHE" && !replaced) {
      result.push_back(variable);
    }
  }
  // A test shall neither find another's plans nor leave its own.
  if (!surroundings.environment.contains("CONVOY_CACHE")) result.push_back("CONVOY_CACHE=none");
  for (const auto& [name, value] : surroundings.environment) result.push_back(name + "=" + value);
  return result;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& string : strings) result.push_back(string.data());
  result.push_back(nullptr);
  return result;
}

/// Starts the program. Its standard output goes to the descriptor `out` if that is not negative, else to the
/// file, its errors to the file.
pid_t start(const std::vector<std::string>& arguments, const Surroundings& surroundings,
            const TemporaryFolder& scratch, int out) {
  const std::string program = surroundings.program.empty()
                                  ? path_of("CONVOY_PROGRAM", "../../convoy").string()  // as in the build
                                  : surroundings.program;
  std::vector<std::string> words = {program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  auto variables = environment_of(surroundings);
  auto argv = pointers(words);
  auto envp = pointers(variables);

  posix_spawn_file_actions_t actions;
  check(posix_spawn_file_actions_init(&actions), "posix_spawn_file_actions_init");
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC;
  const std::string out_file = scratch / "out", err_file = scratch / "err";
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, surroundings.input.c_str(), O_RDONLY, 0);
  if (out >= 0) {
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  } else {
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out_file.c_str(), kFlags, 0600);
  }
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err_file.c_str(), kFlags, 0600);
  posix_spawn_file_actions_addchdir_np(&actions, surroundings.folder.c_str());
  pid_t pid = 0;
  const int error = posix_spawn(&pid, program.c_str(), &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  check(error, program.c_str());
  return pid;
}

int wait_for(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) check(errno, "waitpid");
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

Outcome finish(pid_t pid, const TemporaryFolder& scratch) {
  Outcome outcome;
  outcome.code = wait_for(pid);
  outcome.out = read_file(scratch / "out");
  outcome.err = read_file(scratch / "err");
  return outcome;
}

}  // namespace

Outcome run(const std::vector<std::string>& arguments, const Surroundings& surroundings) {
  const TemporaryFolder scratch;
  return finish(start(arguments, surroundings, scratch, -1), scratch);
}

Outcome run_into(const fs::path& file, const std::vector<std::string>& arguments,
                 const Surroundings& surroundings) {
  const TemporaryFolder scratch;
  const int out = open(file.c_str(), O_WRONLY | O_CLOEXEC);
  if (out < 0) check(errno, file.c_str());
  const pid_t pid = start(arguments, surroundings, scratch, out);
  close(out);
  return finish(pid, scratch);
}

Outcome run_on_terminal(const std::vector<std::string>& arguments, const Surroundings& surroundings,
                        unsigned short columns) {
  const TemporaryFolder scratch;
  int master = -1, slave = -1;
  const struct winsize size = {24, columns, 0, 0};
  if (openpty(&master, &slave, nullptr, nullptr, &size) != 0) check(errno, "openpty");
  fcntl(master, F_SETFD, FD_CLOEXEC);
  fcntl(slave, F_SETFD, FD_CLOEXEC);  // the program keeps only its copy of it
  const pid_t pid = start(arguments, surroundings, scratch, slave);
  close(slave);
  Outcome outcome;
  char buffer[4096];
  // A closed terminal reads as an error on Linux.
  for (ssize_t got = 0; (got = read(master, buffer, sizeof buffer)) > 0;) {
    outcome.out.append(buffer, static_cast<std::size_t>(got));
  }
  close(master);
  outcome.code = wait_for(pid);
  outcome.err = read_file(scratch / "err");
  return outcome;
}

Outcome run_and_signal(const std::vector<std::string>& arguments, const Surroundings& surroundings,
                       const std::string& text, int signal, int times) {
  const TemporaryFolder scratch;
  const pid_t pid = start(arguments, surroundings, scratch, -1);
  siginfo_t ended = {};
  while (read_file(scratch / "out").find(text) == std::string::npos) {
    waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED | WNOHANG | WNOWAIT);
    if (ended.si_pid == pid) break;  // too early: the test will see it
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  for (int i = 0; i < times; ++i) kill(pid, signal);
  return finish(pid, scratch);
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> result;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) result.push_back(line);
  return result;
}

std::vector<nlohmann::json> json_lines(const std::string& text) {
  std::vector<nlohmann::json> result;
  for (const std::string& line : lines(text)) {
    result.push_back(nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false));
    EXPECT_TRUE(result.back().is_object()) << line;
  }
  return result;
}

std::vector<std::string> files_under(const fs::path& folder) {
  std::vector<std::string> result;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    result.push_back(fs::relative(entry.path(), folder).string());
  }
  std::sort(result.begin(), result.end());
  return result;
}

}  // namespace convoy::test
