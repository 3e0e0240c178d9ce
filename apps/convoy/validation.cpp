#include "apps/convoy/validation.h"

#include <fmt/format.h>

#include "convoy/error.h"

namespace convoy {

Validation::Validation(Trainer& trainer, const Dataset& held_out, const RunFolder* folder)
    : trainer_(trainer), held_out_(held_out), folder_(folder) {}

void Validation::prepare() { evaluator_ = trainer_.evaluator(held_out_); }

Evaluation Validation::after_epoch(std::int64_t epoch) {
  const Evaluation evaluation = evaluator_->evaluate();
  if (!best_ || evaluation.accuracy > best_->accuracy) {
    try {
      if (folder_) folder_->write_checkpoint("best.ckpt", trainer_.state());
      best_ = {epoch, evaluation.accuracy};
    } catch (const Error& error) {  // as on a full disk
      say_note(fmt::format("the best model, of epoch {}, is not kept: {}", epoch, error.what()));
    }
  }
  return evaluation;
}

Json Validation::best() const {
  return best_ ? Json{{"epoch", best_->epoch}, {"accuracy", best_->accuracy}} : Json();
}

void Validation::restore(const Json& best) {
  if (best.is_null()) return;
  const bool good = best.is_object() && best.contains("epoch") && best["epoch"].is_number_integer() &&
                    best.contains("accuracy") && best["accuracy"].is_number();
  if (!good) throw Error("the state's best epoch is malformed: it is damaged");
  best_ = {best["epoch"].get<std::int64_t>(), best["accuracy"].get<double>()};
}

}  // namespace convoy
