// What a device can do. Every method is pure virtual, so a backend that lacks an operation does not compile.
//
// An operation is made once, from a layer and the tensors it connects. `prepare` plans what was made; after
// that it is only executed: forward, backward. Tensors have a logical shape (N,C,H,W or N,F); their memory
// order is the backend's own business, and `read` and `write` convert.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "convoy/augmentation.h"
#include "convoy/dataset.h"
#include "convoy/host_tensor.h"
#include "convoy/layers.h"
#include "convoy/muon.h"
#include "convoy/shape.h"
#include "engine/backend/step_state.h"
#include "engine/core/philox.h"
#include "engine/parallel/communicator.h"

namespace convoy {

enum class Phase { training, evaluation };

/// Memory of one backend, zero when it is made. Only the backend that made it can look inside.
class Tensor {
 public:
  explicit Tensor(Shape shape) : shape_(std::move(shape)) {}
  virtual ~Tensor() = default;
  Tensor(const Tensor&) = delete;  // shared by the operations it connects, never copied
  Tensor& operator=(const Tensor&) = delete;

  const Shape& shape() const { return shape_; }

  /// Where its elements are: equal for all views of one memory. Only to be compared.
  virtual const void* memory_id() const { return this; }

 private:
  Shape shape_;
};

/// A value and the gradient of the loss with respect to it. `grad` is null where nobody needs it: an
/// operation does not compute it, and an output has one if any of the operation's inputs or parameters does.
struct Variable {
  TensorPtr value;
  TensorPtr grad;
};

/// Something bound to its tensors that can be executed any number of times, in order, without a further
/// allocation. `backward` follows a `forward` in Phase::training; it overwrites gradients, never adds to
/// them.
class Operation {
 public:
  virtual ~Operation() = default;
  virtual void forward(Phase phase) = 0;
  virtual void backward() = 0;
  const Variable& output() const { return output_; }

 protected:
  Variable output_;
};

using OperationPtr = std::unique_ptr<Operation>;

/// Sends one variable to two consumers: backward adds what they return. `output()` is the first.
class Fork : public Operation {
 public:
  const Variable& second() const { return second_; }

 protected:
  Variable second_;
};

struct BatchNormTensors {
  Variable weight;  // all [C]
  Variable bias;
  TensorPtr running_mean;  // updated by forward(Phase::training)
  TensorPtr running_var;
};

/// Trainable tensors that lie one behind another, so that one optimizer launch (or all-reduce) covers them
/// all.
class ParameterArena {
 public:
  virtual ~ParameterArena() = default;
  std::span<const Variable> variables() const { return variables_; }

 protected:
  std::vector<Variable> variables_;
};

/// A data set as the device visits it, and a cursor into the order of that.
class DeviceDataset {
 public:
  virtual ~DeviceDataset() = default;
  /// Sets the order (indices into the data set, at least one, no more than it has samples) and puts the
  /// cursor on entry `begin` of it. Flips that alternate do so by the number of the `epoch`. Never
  /// reallocates. Throws UsageError.
  virtual void set_order(std::span<const std::uint32_t> order, std::int64_t begin = 0,
                         std::int64_t epoch = 0) = 0;
  /// To be called before `steps` steps of `rows` samples are enqueued: has the samples of the first of them
  /// on the device, and returns for how many. Those must then be enqueued before the next call. All are ready
  /// where the device has the whole data set. Throws Error if the order has fewer samples left than a step
  /// takes.
  virtual std::int64_t provide(std::int64_t rows, std::int64_t steps) {
    static_cast<void>(rows);
    return steps;
  }
};

/// How all images of a batch are seen: pixel (y, x) is pixel (y + dy, x + dx) of the (then flipped) image,
/// which is mirrored at its outermost pixels.
struct ImageView {
  std::int32_t dy = 0;
  std::int32_t dx = 0;
  bool flip = false;

  bool operator==(const ImageView&) const = default;
};

/// What every training batch draws anew, by the counter's step: it must be there if anything is drawn. And
/// how evaluation sees its images.
struct AugmentationSource {
  AugmentationOptions options;
  RandomStream random;
  const StepCounter* counter = nullptr;
  ImageView view = {};
};

/// Adds up the gradients of a group of processes, in place. Every process must start the same parameters in
/// the same order.
class GradientSum {
 public:
  virtual ~GradientSum() = default;
  /// Begins to sum the gradients of the arena's parameters `first` to `last` (not included), behind the work
  /// so far. It may go on while later work is done that does not touch them.
  virtual void start(std::size_t first, std::size_t last) = 0;
  /// What comes behind this finds the sums.
  virtual void finish() = 0;
};

/// A point in the device's work, on the device's own clock.
class TimeMark {
 public:
  virtual ~TimeMark() = default;
  /// From `earlier`, a mark of the same backend, to this one; waits until the device has passed both.
  virtual double milliseconds_since(const TimeMark& earlier) const = 0;
};

/// How much a CUDA graph launches.
struct CudaGraphSize {
  std::int64_t nodes = 0;
  std::int64_t kernels = 0;  // of the nodes
};

/// A sequence of executions as one thing to replay.
class Replay {
 public:
  virtual ~Replay() = default;
  /// Enqueues the sequence `times` times, one after the other.
  virtual void run(std::int64_t times) = 0;
  /// The size of the CUDA graph of one time; nothing where the sequence is simply called, or not yet
  /// captured.
  virtual std::optional<CudaGraphSize> cuda_graph() const = 0;
};

/// Bytes on the device; zero where the device is the host.
struct MemoryUse {
  std::int64_t allocated = 0;  // with the workspace
  std::int64_t workspace = 0;
};

/// Where that which executes an operation came from.
enum class Realisation {
  nothing,     // to execute it is an error
  planned,     // a library's plan, made for this run
  from_cache,  // a library's plan, made by an earlier run
  chosen,      // a library's algorithm, which takes no time to find
  own_kernel,  // what the library lacks, all of it or the rest, or does worse
};

/// How a backend does what was made with it: a row of the table of plans.
struct PlanRow {
  std::string operation;  // with its shapes
  Realisation realisation = Realisation::nothing;
  std::string realised_by;  // in words: a library's engine, or an own kernel and why
  std::string notes;
  std::int64_t workspace = 0;  // bytes
  std::int64_t launches = 1;   // kernels and fills that an execution enqueues, as far as can be known
};

class Backend {
 public:
  virtual ~Backend() = default;

  /// "cpu", "cuda", "reference", "reference-double".
  virtual std::string name() const = 0;
  /// The device in words: "AMD EPYC, 2 threads, oneDNN 2.6.3".
  virtual std::string description() const = 0;
  /// The spacing of the numbers in which it computes: 2^-23 for fp32, 2^-52 for double.
  virtual double epsilon() const = 0;

  /// The processes that train together; of one, if this trains alone.
  virtual Communicator& group() const = 0;
  /// Whether its batch norms take their statistics over all of them: their forwards and backwards in training
  /// then wait for each other.
  virtual bool syncs_batch_norm() const = 0;

  // Memory. `read` and `write` take elements in row-major order of the logical shape, and synchronise.
  /// Of float32 or int32. (`reference-double` stores every real number as double.) Throws UsageError for
  /// other types.
  virtual TensorPtr make_tensor(const Shape& shape, DType dtype) = 0;
  /// Real numbers as this backend stores activations: float32, or bfloat16 if that is its precision.
  virtual TensorPtr make_activation(const Shape& shape) = 0;
  virtual std::unique_ptr<ParameterArena> make_parameters(std::span<const Shape> shapes,
                                                          bool with_gradients) = 0;
  virtual std::vector<double> read(const Tensor& tensor) const = 0;
  virtual void write(Tensor& tensor, std::span<const double> values) = 0;
  /// `x` [N, C, H, W] as [N, C H W] in PyTorch's order: another shape for the same memory, value and gradient
  /// alike, so that nothing has to be executed. An x of [N, F] is returned as it is. Throws UsageError for
  /// other shapes.
  virtual Variable flatten(const Variable& x) = 0;

  /// True if a network should have make_batch_norm_pool's one operation, with that pool, where it has all
  /// three layers.
  virtual bool fuses(const MaxPool2d& pool) const = 0;

  // Layers. Throw UsageError, naming the shapes, for what the backend cannot do.
#define CONVOY_LAYER_OPERATION = 0
#include "engine/backend/layer_operations.inc"
#undef CONVOY_LAYER_OPERATION

  // The rest of a training step.
  /// Mean softmax cross-entropy of logits [N, classes] against int32 labels [N].
  /// Forward also counts into `metrics`, in either phase; backward writes logits.grad. It has no output.
  /// Where the rows are a part of a batch that processes share, `mean_over` is the number of the whole
  /// batch's, by which gradient and last loss are divided instead of by N: their sums are the whole's.
  /// In training the target is `label_smoothing` / classes for every class, and for the label 1 -
  /// `label_smoothing` more, as of torch.nn.CrossEntropyLoss. Evaluation's loss is without it. Throws
  /// UsageError for a smoothing outside [0, 1).
  virtual OperationPtr make_cross_entropy(const Variable& logits, TensorPtr labels, Metrics& metrics,
                                          std::int64_t mean_over = 0, double label_smoothing = 0.0) = 0;
  virtual std::unique_ptr<Metrics> make_metrics() = 0;
  /// Counts from 0. Only an optimizer needs a rule: step_rule() of its options. Throws UsageError for a
  /// schedule that cannot be.
  virtual std::unique_ptr<StepCounter> make_counter(const StepRule& rule = {}) = 0;
  virtual std::unique_ptr<DeviceDataset> upload(const Dataset& dataset) = 0;
  /// Forward advances `counter`, if there is one: a step begins with its batch. Then it copies the next
  /// images.shape()[0] samples of the order, normalised, and moves the cursor; in training it augments them
  /// (kernels/augmentation_math.h), in evaluation it shows a view of them.
  virtual OperationPtr make_batch(DeviceDataset& dataset, TensorPtr images, TensorPtr labels,
                                  const AugmentationSource& augmentation, StepCounter* counter = nullptr) = 0;
  /// Throws UsageError for options that cannot be, and for a counter whose rule is not theirs.
  virtual std::unique_ptr<Optimizer> make_optimizer(ParameterArena& parameters, const StepCounter& counter,
                                                    const OptimizerOptions& options,
                                                    const UpdateRule& rule = {}) = 0;
  /// Updates the orthogonalized groups of `rule` alone, at the counter's rate of its own learning rate: one
  /// schedule for this and for the optimizer of the counter's rule. Its state is "momentum_buffer". Must be
  /// made before prepare(). Throws UsageError for options that cannot be, and for vectors.
  virtual std::unique_ptr<Optimizer> make_muon(ParameterArena& parameters, const StepCounter& counter,
                                               const MuonOptions& options, const UpdateRule& rule) = 0;
  /// Throws UsageError unless `max_norm` is above 0.
  virtual std::unique_ptr<GradientClip> make_gradient_clip(ParameterArena& parameters, float max_norm) = 0;
  /// Of a process without samples, `contributes` is false: its gradients count as 0.
  virtual std::unique_ptr<GradientSum> make_gradient_sum(ParameterArena& parameters,
                                                         bool contributes = true) = 0;
  virtual std::unique_ptr<ParameterAverage> make_average(ParameterArena& parameters) = 0;
  /// Throws UsageError unless `decay` is above 0 and below 1.
  virtual std::unique_ptr<MovingAverage> make_moving_average(ParameterArena& parameters,
                                                             ParameterArena& statistics,
                                                             const StepCounter& counter, double decay) = 0;
  /// Allocates the room for its copies. Throws UsageError for what another backend made.
  virtual std::unique_ptr<Stager> make_stager(StagerSources sources) = 0;

  // Execution.
  /// Plans, tunes, loads and allocates what the operations made until now need: nothing of that happens
  /// later, in a step. To be called before they are first executed, and again when more were made; it then
  /// does only what is new. An operation that needs it and is executed without throws an Error. Throws Error
  /// if a library refuses what was asked for, or memory does not suffice.
  virtual void prepare() = 0;
  /// Makes a sequence replayable: as a CUDA graph on a GPU, as the function itself elsewhere.
  virtual std::unique_ptr<Replay> record(std::function<void()> sequence) = 0;
  /// How many times a Replay is best run at once, so that launching does not limit it; 1 on the host.
  virtual std::int64_t steps_per_launch() const = 0;
  /// Returns when everything enqueued has run.
  virtual void synchronize() = 0;

  // Observation.
  /// Marks this point in the device's work.
  virtual std::unique_ptr<TimeMark> mark() = 0;
  virtual std::unique_ptr<FiniteCheck> make_finite_check(const StepCounter& counter) = 0;
  virtual MemoryUse memory() const = 0;
  /// What was planned for the operations made so far, as of the last `prepare`. Empty where nothing is.
  virtual std::vector<PlanRow> plans() const = 0;
};

}  // namespace convoy
