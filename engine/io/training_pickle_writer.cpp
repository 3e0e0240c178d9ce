#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "convoy/error.h"
#include "engine/io/pickler.h"
#include "engine/io/training_pickle.h"

namespace convoy {
namespace {

using pickle::Opcode;
using pickle::Pickler;

constexpr float kNewtonSchulz[] = {3.4445f, -4.7750f, 2.0315f};

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

/// The same of torch.optim.Muon.
void write_muon(const MuonOptions& muon, Dict& group) {
  group["lr"].real(shortest(muon.learning_rate));
  group["weight_decay"].real(shortest(muon.weight_decay));
  group["momentum"].real(shortest(muon.momentum));
  group["nesterov"].boolean(muon.nesterov);
  Pickler& coefficients = group["ns_coefficients"];
  for (const float coefficient : kNewtonSchulz) coefficients.real(shortest(coefficient));
  coefficients.op(Opcode::tuple3);
  group["eps"].real(1e-7);
  group["ns_steps"].count(muon.steps);
  const bool original = muon.adjust_rate == MuonOptions::AdjustRate::original;
  group["adjust_lr_fn"].string(original ? "original" : "match_rms_adamw");
}

using Numbers = std::vector<std::int64_t>;  // of parameters, as `model.parameters()` has them

void write_params(const Numbers& numbers, Dict& group, Pickler& out) {
  group["params"].op(Opcode::empty_list).op(Opcode::mark);
  for (const std::int64_t number : numbers) out.count(number);
  out.op(Opcode::appends);
}

/// One of `param_groups`.
void write_group(OptimizerOptions optimizer, bool decayed, const Numbers& numbers, Pickler& out) {
  if (!decayed) std::visit([](auto& options) { options.weight_decay = 0.0f; }, optimizer);
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
    write_params(numbers, group, out);
  }
  out.op(Opcode::append);
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

/// Writes tensors and notes their storages, in the same order.
class Writer {
 public:
  Writer(const TrainingSnapshot& snapshot, const OptimizerOptions& optimizer,
         const std::optional<MuonOptions>& muon)
      : snapshot_(snapshot), optimizer_(optimizer), muon_(muon) {
    for (std::size_t i = 0; i < snapshot.parameters.size(); ++i) {
      const std::string& name = snapshot.parameters[i];
      Numbers& numbers = contains(snapshot.orthogonalized, name) ? orthogonalized_
                         : contains(snapshot.undecayed, name)    ? undecayed_
                                                                 : decayed_;
      numbers.push_back(static_cast<std::int64_t>(i));
    }
    check();
  }

  PickledFile write(std::string_view notes) {
    {
      Dict root(out_);
      root["model"];
      state(snapshot_.model);
      root["optimizer"];
      write_optimizer();
      if (!orthogonalized_.empty()) {
        root["muon"];
        write_muon_optimizer();
      }
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

  // The tensors that are kept of the parameter, whose name is what follows theirs: "exp_avg.layer1.0.weight".
  std::vector<const StateDict::value_type*> kept_of(const std::string& parameter) const {
    std::vector<const StateDict::value_type*> kept;
    for (const StateDict::value_type& entry : snapshot_.optimizer) {
      if (entry.first.substr(entry.first.find('.') + 1) == parameter) kept.push_back(&entry);
    }
    return kept;
  }

  // Each parameter of an optimizer has as many tensors as the others, and none is left over.
  void check() const {
    std::size_t kept = 0;
    bool alike = !snapshot_.parameters.empty();
    std::optional<std::size_t> of_one, of_muons;
    for (const std::string& name : snapshot_.parameters) {
      const std::size_t count = kept_of(name).size();
      std::optional<std::size_t>& expected = contains(snapshot_.orthogonalized, name) ? of_muons : of_one;
      if (!expected) expected = count;
      alike = alike && count == *expected;
      kept += count;
    }
    if (alike && kept == snapshot_.optimizer.size()) return;
    throw Error(fmt::format("{} tensors of an optimizer do not go with {} parameters",
                            snapshot_.optimizer.size(), snapshot_.parameters.size()));
  }

  void write_state_of(const Numbers& numbers, bool with_step) {
    for (const std::int64_t number : numbers) {
      const auto kept = kept_of(snapshot_.parameters[static_cast<std::size_t>(number)]);
      if (kept.empty()) continue;  // of SGD without a momentum
      out_.count(number);
      Dict of_one(out_);
      if (with_step) tensor("step", {"step", {{}, {static_cast<double>(snapshot_.counter)}, DType::float32}});
      for (const StateDict::value_type* entry : kept) {
        tensor(entry->first.substr(0, entry->first.find('.')), *entry);
      }
    }
  }

  // {"state": {0: {"step": ..., "exp_avg": ...}, ...}, "param_groups": [...]}: one group, or the decayed
  // first and then those that weight decay spares.
  void write_optimizer() {
    Numbers all = decayed_;
    all.insert(all.end(), undecayed_.begin(), undecayed_.end());
    std::ranges::sort(all);
    Dict optimizer(out_);
    optimizer["state"];
    {
      Dict states(out_);
      write_state_of(all, std::holds_alternative<AdamOptions>(optimizer_));
    }
    optimizer["param_groups"].op(Opcode::empty_list);
    write_group(optimizer_, true, decayed_, out_);
    if (!undecayed_.empty()) write_group(optimizer_, false, undecayed_, out_);
  }

  void write_muon_optimizer() {
    if (!muon_) throw Error("the options of Muon are missing");
    Dict optimizer(out_);
    optimizer["state"];
    {
      Dict states(out_);
      write_state_of(orthogonalized_, false);
    }
    optimizer["param_groups"].op(Opcode::empty_list);
    {
      Dict group(out_);
      write_muon(*muon_, group);
      write_params(orthogonalized_, group, out_);
    }
    out_.op(Opcode::append);
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
    convoy["ema_count"].count(snapshot_.ema_count);
    convoy["ema"];
    state(snapshot_.ema);
    convoy["last_loss"].real(snapshot_.metrics.last_loss);
    convoy["loss_sum"].real(snapshot_.metrics.loss_sum);
    convoy["correct"].count(snapshot_.metrics.correct);
    convoy["samples"].count(snapshot_.metrics.samples);
    convoy["notes"].string(notes);
  }

  const TrainingSnapshot& snapshot_;
  const OptimizerOptions& optimizer_;
  const std::optional<MuonOptions>& muon_;
  Numbers decayed_, undecayed_, orthogonalized_;
  Pickler out_;
  std::vector<std::string> storages_;
};

}  // namespace

PickledFile training_to_pickle(const TrainingSnapshot& snapshot, const OptimizerOptions& optimizer,
                               std::string_view notes, const std::optional<MuonOptions>& muon) {
  return Writer(snapshot, optimizer, muon).write(notes);
}

}  // namespace convoy
