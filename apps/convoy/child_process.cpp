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

/// Another program may be a wrapper, and what that starts has to end with it. A terminal's signals do not
/// reach such a group, but by this process.
bool has_group(const Child& child) { return !child.program.empty(); }

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
  posix_spawnattr_t attributes;
  check(posix_spawnattr_init(&attributes), "posix_spawn");
  if (has_group(child)) {
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setpgroup(&attributes, 0);
  }
  pid_t process = 0;
  const int error = posix_spawnp(&process, program.c_str(), &actions, &attributes, argv.data(), envp.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  check(error, program.c_str());
  return process;
}

/// A process that was started.
class Running {
 public:
  Running(int input, pid_t process, const Child& child) : input_(input), process_(process), child_(child) {
    if (child.limit.count() > 0) end_ = Clock::now() + child.limit;
  }

  /// Reads lines until the other end is closed.
  void read_all() {
    std::array<char, 4096> buffer{};
    for (;;) {
      watch();
      constexpr int kMilliseconds = 1000;  // for a signal that came before
      struct pollfd input = {input_, POLLIN, 0};
      if (poll(&input, 1, kMilliseconds) <= 0) continue;  // which, unlike a read, ends with a signal
      const ssize_t got = read(input_, buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return;
      take({buffer.data(), static_cast<std::size_t>(got)});
    }
  }

  /// Waits for its end, which may come long after that of its lines. Returns the exit code as run_child does.
  int code() {
    constexpr int kMilliseconds = 5;
    for (;; poll(nullptr, 0, kMilliseconds)) {
      if (const auto ended = ended_with(WNOHANG)) return *ended;
      watch();
    }
  }

  /// Ends it, of its own accord if it has no limit.
  void stop() {
    const bool limited = end_.has_value();
    const auto end = Clock::now() + kToEnd;
    tell(SIGTERM);
    constexpr int kMilliseconds = 5;
    for (; limited && Clock::now() < end; poll(nullptr, 0, kMilliseconds)) {
      if (ended_with(WNOHANG)) return;
    }
    if (limited) tell(SIGKILL);
    ended_with(0);
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kToEnd{2};  // that one with a limit has

  void tell(int signal) const { kill(has_group(child_) ? -process_ : process_, signal); }

  /// Passes on a signal. Throws Error at the limit.
  void watch() {
    if (InterruptGuard::interrupted() && !told_) {
      told_ = true;
      tell(SIGTERM);
      if (end_) end_ = std::min(*end_, Clock::now() + kToEnd);
    }
    if (end_ && Clock::now() >= *end_) {
      tell(SIGKILL);
      throw Error(fmt::format("{} did not end within {} s", child_.program, child_.limit.count()));
    }
  }

  std::optional<int> ended_with(int flags) const {
    int status = 0;
    pid_t ended = 0;
    while ((ended = waitpid(process_, &status, flags)) < 0) {
      if (errno != EINTR) check(errno, "waitpid");
    }
    if (ended == 0) return std::nullopt;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
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

}  // namespace

int run_child(const Child& child) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) check(errno, "pipe");
  const Descriptor input(ends[0]);
  Descriptor output(ends[1]);
  Running running(input.get(), start(child, output.get()), child);
  output.close();
  try {
    running.read_all();
    return running.code();
  } catch (...) {
    running.stop();
    throw;
  }
}

}  // namespace convoy
