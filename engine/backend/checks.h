// What every operation demands of its tensors and options beyond the rule of its layer, which is in
// engine/model/layer_rules.h. All functions throw UsageError with the layer and what does not fit; nothing
// here depends on how a backend stores a tensor.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "convoy/dataset.h"
#include "convoy/device.h"
#include "convoy/shape.h"
#include "engine/backend/backend.h"

namespace convoy {

/// Throws "WHAT was made by another backend".
[[noreturn]] void refuse_foreign(const std::string& what);

/// What came back through the backend's interface as the type that the backend makes. Throws if another
/// backend made it.
template <typename Own, typename Base>
Own& own(const std::string& what, Base& base) {
  auto* const ours = dynamic_cast<Own*>(&base);
  if (!ours) refuse_foreign(what);
  return *ours;
}

/// Throws for a tensor that is missing, or not of this backend's `kind`: "reals" or "int32".
[[noreturn]] void refuse_tensor(const std::string& what, const Tensor* tensor, const char* kind);

/// The same for tensors, of which a backend may have several types.
template <typename Own>
std::shared_ptr<Own> own_tensor(const std::string& what, const TensorPtr& tensor, const char* kind) {
  auto ours = std::dynamic_pointer_cast<Own>(tensor);
  if (!ours) refuse_tensor(what, tensor.get(), kind);
  return ours;
}

/// Throws if the options have another precision, for a `backend` that knows no other.
void require_fp32(const std::string& backend, const DeviceOptions& options);

/// Throws for a tensor of a type that a backend does not make.
[[noreturn]] void refuse_dtype(const std::string& backend, DType dtype);

/// Throws unless `values` are as many as a tensor of that shape has.
void require_count(const Shape& shape, std::size_t values);

/// Throws unless there is a bias of shape [outputs] exactly if the layer has one.
void require_bias(const std::string& layer, bool has_bias, const Variable& bias, std::int64_t outputs);

/// The same for the weight and the bias of a norm, both [channels].
void require_affine(const std::string& layer, bool affine, const Variable& weight, const Variable& bias,
                    std::int64_t channels);

/// Throws unless `actual` is `expected`; `what` is the layer and the tensor, "Conv2d: weight".
void require_shape(const std::string& what, const Shape& actual, const Shape& expected);

/// Throws unless `actual` has four dimensions, none of them 0.
void require_images(const std::string& what, const Shape& actual);

/// In training x must have more than one element a channel (else its variance is undefined). An operation
/// with gradients is refused when it is made, one without when it is asked to train.
void check_batch_statistics(const Shape& x);

/// Throws for a pool that no operation takes along: see has_disjoint_windows.
void check_fused_pool(const MaxPool2d& pool);

/// The summands must have one shape, and not one gradient: a variable that is added to itself has two
/// consumers and needs a Fork.
void check_add(const Variable& a, const Variable& b);

/// The classes of logits [N, classes] against labels [N].
std::int64_t cross_entropy_classes(const Shape& logits, const Shape& labels);

/// From 0 to below 1, as far as PyTorch's loss means something.
void check_label_smoothing(double label_smoothing);

/// Images [C, H, W], as many pixels and labels as they make, and a normalisation for one or for every
/// channel.
void check_dataset(const Dataset& dataset);

/// One mean and one positive deviation, or one for each channel of the image [C, H, W].
void check_normalization(const Normalization& normalization, const Shape& image, const std::string& what);

/// At least one entry, no more than the data set has samples, each a sample of it; `begin` one of them.
void check_order(std::span<const std::uint32_t> order, std::int64_t begin, std::size_t samples,
                 const std::string& dataset);

/// An image [C, H, W] may move by no more than leaves a part of it in sight; a square that is cut out fits
/// into it; rotation and scaling are in their ranges.
void check_augmentation(const AugmentationOptions& options, const Shape& image);

/// True if training batches of `image` are to be augmented, which takes a counter.
bool augments(const AugmentationSource& augmentation, const Shape& image);

/// An image may be shifted by no more than can be mirrored.
void check_view(const ImageView& view, const Shape& image);

/// A learning rate above 0, betas and decays that make sense, all of them finite; nesterov with a momentum.
void check_optimizer(const OptimizerOptions& options);

/// Throws for a rule that does not follow from the options.
void check_step_rule(const StepRule& rule, const OptimizerOptions& options);

/// A group for each of the parameters, or none at all.
void check_groups(std::span<const ParameterGroup> groups, const ParameterArena& parameters);

/// A learning rate above 0, a momentum, a decay and a number of iterations that make sense.
void check_muon(const MuonOptions& options);

/// And a group for each parameter, of which only matrices are orthogonalized.
void check_muon(const MuonOptions& options, std::span<const ParameterGroup> groups,
                const ParameterArena& parameters);

/// A finite number above 0.
void check_clip_norm(float max_norm);

/// A number above 0 and below 1.
void check_ema_decay(double decay);

}  // namespace convoy
