// The subcommands of the program. Each has a file of its own.
#pragma once

#include <CLI/App.hpp>
#include <functional>

namespace convoy {

/// A subcommand: its parser, and the function to run when the flags are parsed. `run` returns the exit code.
struct Command {
  CLI::App* parser = nullptr;
  std::function<int()> run;
};

Command add_train(CLI::App& program);
Command add_eval(CLI::App& program);
Command add_predict(CLI::App& program);
Command add_fetch(CLI::App& program);
Command add_gradcheck(CLI::App& program);
Command add_doctor(CLI::App& program);
Command add_bench(CLI::App& program);
Command add_race(CLI::App& program);
Command add_recipes(CLI::App& program);
Command add_export(CLI::App& program);
Command add_inspect(CLI::App& program);
Command add_compare(CLI::App& program);
Command add_import(CLI::App& program);
Command add_completion(CLI::App& program);
Command add_manual(CLI::App& program);

}  // namespace convoy
