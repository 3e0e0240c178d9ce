// The program: parses the command line, runs a subcommand, and reports a failure by one line and an exit
// code.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <csignal>
#include <cstdio>
#include <string>

#include "apps/convoy/commands.h"
#include "apps/convoy/failure.h"
#include "apps/convoy/flags.h"
#include "convoy/error.h"
#include "engine/backend/cpu/cpu.h"

namespace convoy {
namespace {

int run(int argc, char** argv) {
  CLI::App program("Convoy trains ConvNets.", "convoy");
  program.set_version_flag("--version", "convoy " CONVOY_VERSION "\n" CONVOY_COMPILER ", " CONVOY_BUILT_WITH,
                           "Print the version, the compiler and the libraries of this build");
  program.require_subcommand(1);
  // If a flag is given twice, the last one counts. So the flags of a script can be overridden.
  program.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  program.footer("Examples:\n  convoy train\n  convoy eval --checkpoint runs/convnet-mnist-1/model.ckpt\n\n" +
                 std::string(kExitCodes));
  const auto commands = std::to_array<Command>(
      {add_train(program), add_eval(program), add_predict(program), add_fetch(program),
       add_gradcheck(program), add_doctor(program), add_bench(program), add_race(program),
       add_recipes(program), add_export(program), add_import(program), add_inspect(program),
       add_compare(program), add_completion(program), add_manual(program)});
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return program.exit(error);  // --help, --version
    if (argc > 1 && program.get_subcommands().empty()) {
      return fail(kUsage, fmt::format("'{}' is not a subcommand (see convoy --help)", argv[1]));
    }
    const auto parsed = program.get_subcommands();
    const std::string command = parsed.empty() ? "" : " " + parsed.front()->get_name();
    return fail(kUsage, fmt::format("{} (see convoy{} --help)", error.what(), command));
  }
  for (const Command& command : commands) {
    if (command.parser->parsed()) return command.run();
  }
  return kUsage;  // not reached: a subcommand is required
}

/// Ignores SIGPIPE and SIGXFSZ: a failed write then returns an error, which is reported, where the signal
/// would end the program. Opens /dev/null for each standard stream that is closed: otherwise a file that is
/// opened later would get its descriptor and receive the program's output.
void prepare_process() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  for (int descriptor = open("/dev/null", O_RDWR); descriptor >= 0; descriptor = open("/dev/null", O_RDWR)) {
    if (descriptor > STDERR_FILENO) {
      close(descriptor);
      break;
    }
  }
}

/// Runs the program and returns its exit code. Output that cannot be written, as on a full disk, is a
/// failure.
int run_reporting(int argc, char** argv) {
  try {
    const int code = run(argc, argv);
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
      return fail(kFailed, "standard output cannot be written");
    }
    return code;
  } catch (...) {
    return report_failure();
  }
}

}  // namespace
}  // namespace convoy

int main(int argc, char** argv) {
  convoy::prepare_process();
  convoy::prepare_cpu_threads(argv);
  return convoy::run_reporting(argc, argv);
}
