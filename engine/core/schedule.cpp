// What a schedule may be, and how it is written.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "convoy/error.h"
#include "engine/core/step_table.h"

namespace convoy {
namespace {

constexpr std::int64_t kLongest = 0x7fffffff;  // in counts: times the steps of an epoch they fit 64 bits

void require(bool fits, const char* whose, const char* parameter, double value, const char* expected) {
  if (!fits) throw UsageError(fmt::format("{}: {} {:g} is not {}", whose, parameter, value, expected));
}

void require_length(const char* whose, const char* parameter, std::int64_t length) {
  require(length >= 0 && length <= kLongest, whose, parameter, static_cast<double>(length),
          "a number of counts, or 0: to the end");
}

void require_gamma(const char* whose, double gamma) {
  require(std::isfinite(gamma) && gamma > 0.0, whose, "gamma", gamma, "a positive number");
}

/// Throws for parameters out of range.
struct Check {
  const StepRule& rule;

  void operator()(const ConstantLR& s) const {
    require(s.factor >= 0.0 && s.factor <= 1.0, "ConstantLR", "factor", s.factor, "from 0 to 1");
    require_length("ConstantLR", "total_iters", s.total_iters);
  }

  void operator()(const LinearLR& s) const {
    require(s.start_factor > 0.0 && s.start_factor <= 1.0, "LinearLR", "start_factor", s.start_factor,
            "above 0 and at most 1");
    require(s.end_factor >= 0.0 && s.end_factor <= 1.0, "LinearLR", "end_factor", s.end_factor,
            "from 0 to 1");
    require_length("LinearLR", "total_iters", s.total_iters);
  }

  void operator()(const StepLR& s) const {
    require(s.step_size >= 1, "StepLR", "step_size", static_cast<double>(s.step_size), "a positive number");
    require_gamma("StepLR", s.gamma);
  }

  void operator()(const MultiStepLR& s) const {
    for (const std::int64_t milestone : s.milestones) {
      require(milestone >= 1 && milestone <= kLongest, "MultiStepLR", "milestone",
              static_cast<double>(milestone), "a positive number of counts");
    }
    if (!std::ranges::is_sorted(s.milestones)) {
      throw UsageError(fmt::format("MultiStepLR: its milestones {} are not in ascending order",
                                   fmt::join(s.milestones, ", ")));
    }
    require_gamma("MultiStepLR", s.gamma);
  }

  void operator()(const ExponentialLR& s) const { require_gamma("ExponentialLR", s.gamma); }

  void operator()(const CosineAnnealingLR& s) const {
    require(std::isfinite(s.eta_min) && s.eta_min >= 0.0, "CosineAnnealingLR", "eta_min", s.eta_min,
            "a number of at least 0");
    require_length("CosineAnnealingLR", "T_max", s.T_max);
  }

  void operator()(const OneCycleLR& s) const {
    const char* const name = "OneCycleLR";
    const auto require_factor = [name](const char* parameter, double factor) {
      require(std::isfinite(factor) && factor > 0.0, name, parameter, factor, "a positive number");
    };
    require_length(name, "total_steps", s.total_steps);
    require(s.pct_start >= 0.0 && s.pct_start <= 1.0, name, "pct_start", s.pct_start, "from 0 to 1");
    require_factor("div_factor", s.div_factor);
    require_factor("final_div_factor", s.final_div_factor);
    require(!s.three_phase || s.pct_start <= 0.5, name, "pct_start", s.pct_start,
            "at most 0.5, as the fall of three_phase takes as long as the rise");
    if (!s.cycle_momentum) return;
    const auto require_momentum = [name](const char* parameter, double momentum) {
      require(momentum >= 0.0 && momentum < 1.0, name, parameter, momentum, "in the range [0, 1)");
    };
    require_momentum("base_momentum", s.base_momentum);
    require_momentum("max_momentum", s.max_momentum);
    if (rule.adam || rule.momentum > 0.0f) return;
    throw UsageError(
        "OneCycleLR: it cycles the momentum, and this SGD has none: give it a momentum, or set "
        "cycle_momentum to false");
  }

  void operator()(const SequentialLR& s) const {
    if (s.schedulers.empty() || s.milestones.size() + 1 != s.schedulers.size()) {
      throw UsageError(
          fmt::format("SequentialLR: {} schedulers with {} milestones: there must be one less of these",
                      s.schedulers.size(), s.milestones.size()));
    }
    std::int64_t before = 0;
    for (const std::int64_t milestone : s.milestones) {
      if (milestone <= before || milestone > kLongest) {
        throw UsageError(fmt::format("SequentialLR: its milestones {} are not positive in ascending order",
                                     fmt::join(s.milestones, ", ")));
      }
      before = milestone;
    }
    int cycles = 0;
    for (const Schedule& part : s.schedulers) {
      if (std::holds_alternative<SequentialLR>(part.scheduler)) {
        throw UsageError("SequentialLR: one of its schedulers is a SequentialLR: write them as one");
      }
      cycles += std::holds_alternative<OneCycleLR>(part.scheduler) ? 1 : 0;
      std::visit(*this, part.scheduler);
    }
    if (cycles > 1) throw UsageError("SequentialLR: more than one of its schedulers is a OneCycleLR");
  }
};

/// A length of 0 reaches to the end of the training, or of the part of a sequence.
std::string length(std::int64_t count) { return count == 0 ? "to the end" : std::to_string(count); }

struct InWords {
  std::string operator()(const ConstantLR& s) const {
    return fmt::format("ConstantLR(factor={}, total_iters={})", s.factor, s.total_iters);
  }
  std::string operator()(const LinearLR& s) const {
    return fmt::format("LinearLR(start_factor={}, end_factor={}, total_iters={})", s.start_factor,
                       s.end_factor, length(s.total_iters));
  }
  std::string operator()(const StepLR& s) const {
    return fmt::format("StepLR(step_size={}, gamma={})", s.step_size, s.gamma);
  }
  std::string operator()(const MultiStepLR& s) const {
    return fmt::format("MultiStepLR(milestones=[{}], gamma={})", fmt::join(s.milestones, ", "), s.gamma);
  }
  std::string operator()(const ExponentialLR& s) const {
    return fmt::format("ExponentialLR(gamma={})", s.gamma);
  }
  std::string operator()(const CosineAnnealingLR& s) const {
    return fmt::format("CosineAnnealingLR(T_max={}, eta_min={})", length(s.T_max), s.eta_min);
  }
  std::string operator()(const OneCycleLR& s) const {
    const bool linear = s.anneal_strategy == OneCycleLR::AnnealStrategy::linear;
    const std::string momentum =
        s.cycle_momentum ? fmt::format("base_momentum={}, max_momentum={}", s.base_momentum, s.max_momentum)
                         : "cycle_momentum=False";
    return fmt::format(
        "OneCycleLR(total_steps={}, pct_start={}, anneal_strategy={}, {}, div_factor={}, "
        "final_div_factor={}, three_phase={})",
        length(s.total_steps), s.pct_start, linear ? "linear" : "cos", momentum, s.div_factor,
        s.final_div_factor, s.three_phase ? "True" : "False");
  }
  std::string operator()(const SequentialLR& s) const {
    std::vector<std::string> parts;
    for (const Schedule& part : s.schedulers) parts.push_back(in_words(part));
    return fmt::format("SequentialLR([{}], milestones=[{}])", fmt::join(parts, ", "),
                       fmt::join(s.milestones, ", "));
  }
};

}  // namespace

void check_schedule(const StepRule& rule) { std::visit(Check{rule}, rule.schedule.scheduler); }

bool is_constant(const Schedule& schedule) {
  const auto* const constant = std::get_if<ConstantLR>(&schedule.scheduler);
  return constant != nullptr && constant->factor == 1.0;
}

std::string in_words(const Schedule& schedule) {
  return fmt::format("{} by {}", std::visit(InWords{}, schedule.scheduler),
                     schedule.interval == Schedule::Interval::step ? "steps" : "epochs");
}

}  // namespace convoy
