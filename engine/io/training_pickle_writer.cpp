#include <fmt/format.h>

#include <cstdlib>

#include "convoy/error.h"
#include "engine/io/pickler.h"
#include "engine/io/training_pickle.h"

namespace convoy {
namespace {

using pickle::Opcode;
using pickle::Pickler;

/// The number that was written as a float: 0.001, where the float's value is 0.0010000000474974513.
double shortest(float value) { return std::strtod(fmt::format("{}", value).c_str(), nullptr); }

/// A dict while it is written: an entry is `dict[key]` and, behind it, a value.
class Dict {
 public:
  explicit Dict(Pickler& out) : out_(out) { out_.op(Opcode::empty_dict).op(Opcode::mark); }
  ~Dict() { out_.op(Opcode::set_items); }
  Dict(const Dict&) = delete;
  Dict& operator=(const Dict&) = delete;

  Pickler& operator[](std::string_view key) { return out_.string(key); }

 private:
  Pickler& out_;
};

/// What torch.optim.Adam and AdamW have in `param_groups`, of any version since 1.6: each takes what it
/// knows.
void write_adam(const AdamOptions& adam, Dict& group) {
  group["lr"].real(shortest(adam.learning_rate));
  group["betas"].real(shortest(adam.beta1)).real(shortest(adam.beta2)).op(Opcode::tuple2);
  group["eps"].real(shortest(adam.epsilon));
  group["weight_decay"].real(shortest(adam.weight_decay));
  group["amsgrad"].boolean(false);
  group["capturable"].boolean(false);
  group["decoupled_weight_decay"].boolean(adam.decoupled_weight_decay);
}

/// The same of torch.optim.SGD.
void write_sgd(const SgdOptions& sgd, Dict& group) {
  group["lr"].real(shortest(sgd.learning_rate));
  group["momentum"].real(shortest(sgd.momentum));
  group["dampening"].real(0.0);
  group["weight_decay"].real(shortest(sgd.weight_decay));
  group["nesterov"].boolean(sgd.nesterov);
}

void write_groups(const OptimizerOptions& optimizer, std::size_t parameters, Pickler& out) {
  out.op(Opcode::empty_list);
  {
    Dict group(out);
    std::visit(
        [&](const auto& options) {
          if constexpr (std::is_same_v<std::decay_t<decltype(options)>, AdamOptions>) {
            write_adam(options, group);
          } else {
            write_sgd(options, group);
          }
        },
        optimizer);
    for (const char* unused : {"maximize", "differentiable"}) group[unused].boolean(false);
    for (const char* open : {"foreach", "fused"}) group[open].op(Opcode::none);  // PyTorch's choice
    group["params"].op(Opcode::empty_list).op(Opcode::mark);
    for (std::size_t i = 0; i < parameters; ++i) out.count(static_cast<std::int64_t>(i));
    out.op(Opcode::appends);
  }
  out.op(Opcode::append);
}

/// Writes tensors and notes their storages, in the same order.
class Writer {
 public:
  Writer(const TrainingSnapshot& snapshot, const OptimizerOptions& optimizer)
      : snapshot_(snapshot), optimizer_(optimizer) {}

  PickledFile write(std::string_view notes) {
    {
      Dict root(out_);
      root["model"];
      state(snapshot_.model);
      root["optimizer"];
      write_optimizer();
      root["convoy"];
      write_rest(notes);
    }
    return {out_.stop(), std::move(storages_)};
  }

 private:
  void state(const StateDict& state) {
    out_.state(state);
    for (const auto& entry : state) storages_.push_back(storage_bytes(entry));
  }

  void tensor(std::string_view key, const StateDict::value_type& entry) {
    out_.string(key).tensor(entry.second);
    storages_.push_back(storage_bytes(entry));
  }

  // {"state": {0: {"step": ..., "exp_avg": ...}, ...}, "param_groups": [...]}. The snapshot has all exp_avg
  // first, then all of the next.
  void write_optimizer() {
    const std::size_t parameters = snapshot_.parameters.size(), kept = snapshot_.optimizer.size();
    if (parameters == 0 || kept % parameters != 0) {
      throw Error(fmt::format("{} tensors of an optimizer do not go with {} parameters", kept, parameters));
    }
    Dict optimizer(out_);
    optimizer["state"];
    {
      Dict states(out_);
      for (std::size_t i = 0; kept > 0 && i < parameters; ++i) {
        out_.count(static_cast<std::int64_t>(i));
        Dict of_one(out_);
        if (std::holds_alternative<AdamOptions>(optimizer_)) {
          tensor("step", {"step", {{}, {static_cast<double>(snapshot_.counter)}, DType::float32}});
        }
        for (std::size_t k = i; k < kept; k += parameters) {
          const StateDict::value_type& entry = snapshot_.optimizer[k];
          tensor(entry.first.substr(0, entry.first.find('.')), entry);
        }
      }
    }
    optimizer["param_groups"];
    write_groups(optimizer_, parameters, out_);
  }

  void write_rest(std::string_view notes) {
    Dict convoy(out_);
    convoy["format"].count(1);
    convoy["epoch"].count(snapshot_.position.epoch);
    convoy["step"].count(snapshot_.position.step);
    convoy["settled"].boolean(snapshot_.position.settled);
    convoy["counter"].count(snapshot_.counter);
    convoy["total_steps"].count(snapshot_.total_steps);
    convoy["parameters"].op(Opcode::empty_list).op(Opcode::mark);
    for (const std::string& name : snapshot_.parameters) out_.string(name);
    out_.op(Opcode::appends);
    convoy["average_count"].count(snapshot_.average_count);
    convoy["average"];
    state(snapshot_.average);
    convoy["last_loss"].real(snapshot_.metrics.last_loss);
    convoy["loss_sum"].real(snapshot_.metrics.loss_sum);
    convoy["correct"].count(snapshot_.metrics.correct);
    convoy["samples"].count(snapshot_.metrics.samples);
    convoy["notes"].string(notes);
  }

  const TrainingSnapshot& snapshot_;
  const OptimizerOptions& optimizer_;
  Pickler out_;
  std::vector<std::string> storages_;
};

}  // namespace

PickledFile training_to_pickle(const TrainingSnapshot& snapshot, const OptimizerOptions& optimizer,
                               std::string_view notes) {
  return Writer(snapshot, optimizer).write(notes);
}

}  // namespace convoy
