// What the CPU backend's tensors and operations stand on: oneDNN's engine and stream, aligned memory, and
// primitives bound to their arguments.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "engine/backend/cpu/primitives.h"
#include "engine/backend/cpu/threads.h"

namespace convoy::cpu {

/// Row-major.
Layout plain_layout(const Dims& dims, DataType type = DataType::f32);

/// Bytes on a cache line's boundary, zero when they are made. Throws Error if there is no memory.
class Buffer {
 public:
  explicit Buffer(std::size_t bytes);

  void* data() const { return bytes_.get(); }
  std::size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(void* bytes) const;
  };
  std::unique_ptr<void, Free> bytes_;
  std::size_t size_;
};

/// The threads, oneDNN's engine and stream, and the one scratchpad of all primitives, which run one after
/// another.
class Device {
 public:
  /// Throws Error, see settle_threads.
  Device();

  const Threads& threads() const { return threads_; }

  const dnnl::engine& engine() const { return engine_; }
  const dnnl::stream& stream() const { return stream_; }

  /// Grows the scratchpad; only while operations are made.
  void reserve_scratchpad(std::size_t bytes);
  void* scratchpad() const { return scratchpad_.data(); }

 private:
  Threads threads_;  // first: what follows asks OpenMP
  dnnl::engine engine_;
  dnnl::stream stream_;
  Buffer scratchpad_;
};

/// Memory of that layout, zero when it is made, and what owns its bytes.
struct Block {
  explicit Block(const Device& device, const dnnl::memory::desc& layout);

  std::shared_ptr<Buffer> bytes;
  dnnl::memory memory;
};

/// A primitive and the memory it works on, by oneDNN's argument numbers (DNNL_ARG_SRC ...).
class Task {
 public:
  using Arguments = std::vector<std::pair<int, dnnl::memory>>;

  /// `device` must outlive the task, and the arguments' bytes too.
  Task(Device& device, const PrimitivePlan& plan, Arguments arguments);

  /// Throws Error if oneDNN refuses.
  void run();

 private:
  const Device* device_;
  dnnl::primitive primitive_;
  Arguments arguments_;  // keeps alive what handles_ points to
  dnnl::memory scratchpad_;
  std::vector<dnnl_exec_arg_t> handles_;  // of arguments_ and scratchpad_, as oneDNN takes them
};

/// Copies values from one memory to another, whatever layouts they have.
Task copy_task(Device& device, const dnnl::memory& from, const dnnl::memory& to);

/// A tensor's memory as a primitive wants it: itself, or a copy in another layout. That layout may also have
/// other dimensions of as many elements: elements that have the same place in row-major order are the same.
class Relaid {
 public:
  /// For reading: `copy` brings the values of `source` over.
  static Relaid input(Device& device, const dnnl::memory& source, const dnnl::memory::desc& wanted);
  /// For writing: `copy` takes what was written to `destination`.
  static Relaid output(Device& device, const dnnl::memory& destination, const dnnl::memory::desc& wanted);

  const dnnl::memory& memory() const { return memory_; }
  void copy() {
    for (Task& reorder : reorders_) reorder.run();
  }

 private:
  enum class Use { input, output };
  Relaid(Device& device, const dnnl::memory& memory, const dnnl::memory::desc& wanted, Use use);

  dnnl::memory memory_;
  std::vector<std::shared_ptr<Buffer>> bytes_;  // of the copies
  std::vector<Task> reorders_;                  // none, one, or two by way of plain memory
};

/// A primitive on memory of any layout: what it reads is brought into the layouts it wants first, what it
/// writes is taken back from them afterwards.
class Stage {
 public:
  struct Argument {
    int number;           // DNNL_ARG_...
    dnnl::memory memory;  // an operation's tensor
    Layout wanted;        // by the primitive
  };

  Stage(Device& device, const PrimitivePlan& plan, const std::vector<Argument>& reads,
        const std::vector<Argument>& writes);

  void run();

 private:
  std::vector<Relaid> inputs_;
  std::vector<Relaid> outputs_;
  std::optional<Task> task_;
};

}  // namespace convoy::cpu
