// The subcommands of the program, one file each.
#pragma once

#include <CLI/App.hpp>
#include <functional>

namespace convoy {

/// A subcommand: its parser, and what to run once its flags are parsed; `run` returns the exit code.
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

}  // namespace convoy
