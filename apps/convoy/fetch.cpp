// convoy fetch: downloads a data set from its mirrors.
#include "convoy/fetch.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "apps/convoy/commands.h"
#include "apps/convoy/flags.h"
#include "apps/convoy/terminal.h"

namespace convoy {
namespace {

struct FetchFlags {
  std::string dataset;
  std::filesystem::path out;
};

int run_fetch(const FetchFlags& flags) {
  const auto files = remote_files(flags.dataset);
  const auto folder = flags.out.empty() ? std::filesystem::path("data") / flags.dataset : flags.out;
  {
    DownloadReport report(/*with_bar=*/true);
    FetchOptions options;
    options.say = [&](const std::string& message) { report.say(message); };
    options.progress = [&](const std::string& file, std::int64_t done, std::int64_t total) {
      report.progress(file, done, total);
    };
    fetch(files, folder, options);
  }
  put(fmt::format("{} is complete in {}\n", flags.dataset, folder.string()));
  return 0;
}

}  // namespace

Command add_fetch(CLI::App& program) {
  const auto flags = std::make_shared<FetchFlags>();
  CLI::App& command = *program.add_subcommand("fetch", "Download a data set, checked by SHA-256");
  command.add_option("dataset", flags->dataset, "mnist, fashion-mnist, kmnist, cifar10 or cifar100")
      ->required();
  command.add_option("--out", flags->out, "Folder for the files; without it data/DATASET")
      ->check(not_empty());
  set_footer(command,
             "  convoy fetch mnist\n"
             "  convoy fetch cifar10 --out /big/disk/cifar10\n");
  return {&command, [flags] { return run_fetch(*flags); }};
}

}  // namespace convoy
