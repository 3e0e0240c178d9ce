#include "apps/convoy/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <optional>
#include <system_error>

#include "apps/convoy/interrupt.h"
#include "convoy/error.h"
#include "engine/core/file.h"

extern char** environ;

namespace convoy {
namespace {

void check(int error, const char* what) {
  if (error != 0) throw Error(fmt::format("{}: {}", what, std::generic_category().message(error)));
}

std::vector<std::string> environment_with(const std::vector<std::string>& variables) {
  const auto replaced = [&](const std::string& entry) {
    const std::string name = entry.substr(0, entry.find('=') + 1);
    return std::ranges::any_of(variables, [&](const std::string& other) { return other.starts_with(name); });
  };
  std::vector<std::string> all = variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!replaced(*entry)) all.emplace_back(*entry);
  }
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

std::string this_program() {
  std::error_code failed;
  const std::string program = std::filesystem::read_symlink("/proc/self/exe", failed).string();
  if (failed) throw Error(fmt::format("/proc/self/exe cannot be read: {}", failed.message()));
  return program;
}

pid_t start(const Child& child, int output) {
  const std::string program = child.program.empty() ? this_program() : child.program;
  std::vector<std::string> words = {program};
  words.insert(words.end(), child.arguments.begin(), child.arguments.end());
  std::vector<std::string> variables = environment_with(child.variables);
  const std::vector<char*> argv = pointers(words), envp = pointers(variables);
  posix_spawn_file_actions_t actions;
  check(posix_spawn_file_actions_init(&actions), "posix_spawn");
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, child.errors.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t process = 0;
  const int error = posix_spawnp(&process, program.c_str(), &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  check(error, program.c_str());
  return process;
}

/// Reads lines until the other end is closed.
class Lines {
 public:
  Lines(int input, pid_t process, const Child& child) : input_(input), process_(process), child_(child) {
    if (child.limit.count() > 0) end_ = Clock::now() + child.limit;
  }

  void read_all() {
    std::array<char, 4096> buffer{};
    for (;;) {
      if (!wait()) continue;
      const ssize_t got = read(input_, buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return;
      take({buffer.data(), static_cast<std::size_t>(got)});
    }
  }

 private:
  using Clock = std::chrono::steady_clock;

  // A poll, unlike a read, ends with a signal.
  bool wait() {
    if (InterruptGuard::interrupted() && !told_) {
      told_ = true;
      kill(process_, SIGTERM);
      constexpr std::chrono::seconds kToEnd{2};
      if (end_) end_ = std::min(*end_, Clock::now() + kToEnd);
    }
    if (end_ && Clock::now() >= *end_) {
      kill(process_, SIGKILL);
      throw Error(fmt::format("{} did not end within {} s", child_.program, child_.limit.count()));
    }
    struct pollfd input = {input_, POLLIN, 0};
    constexpr int kMilliseconds = 1000;  // for a signal that came before
    return poll(&input, 1, kMilliseconds) > 0;
  }

  void take(std::string_view text) {
    waiting_ += text;
    for (std::size_t end = waiting_.find('\n'); end != std::string::npos; end = waiting_.find('\n')) {
      const Json event = Json::parse(waiting_.substr(0, end), nullptr, /*allow_exceptions=*/false);
      if (!event.is_object() && !child_.says_more) throw Error("a process printed what is no JSON");
      waiting_.erase(0, end + 1);
      if (event.is_object()) child_.event(event);
    }
  }

  int input_;
  pid_t process_;
  const Child& child_;
  std::optional<Clock::time_point> end_;
  std::string waiting_;
  bool told_ = false;
};

int wait_for(pid_t process) {
  int status = 0;
  while (waitpid(process, &status, 0) < 0) {
    if (errno != EINTR) check(errno, "waitpid");
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

int run_child(const Child& child) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) check(errno, "pipe");
  const Descriptor input(ends[0]);
  Descriptor output(ends[1]);
  const pid_t process = start(child, output.get());
  output.close();
  try {
    Lines(input.get(), process, child).read_all();
  } catch (...) {
    kill(process, SIGTERM);
    wait_for(process);
    throw;
  }
  return wait_for(process);
}

}  // namespace convoy
