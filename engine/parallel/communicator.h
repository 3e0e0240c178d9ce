// What the processes of a data-parallel training say to each other from host to host. A backend sums
// gradients in its own way (Backend::make_gradient_sum); the rest, and the CPU backends' gradients, go
// through here.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "convoy/error.h"

namespace convoy {

/// A process's place among those that train together.
struct GroupPlace {
  int rank = 0;        // 0 to size - 1
  int size = 1;        // processes
  int local_rank = 0;  // among those of this machine: the number of its GPU
  int local_size = 1;  // of this machine, as far as is known
  /// "host:port" where rank 0 can be met, if nothing connects the processes yet.
  std::string meeting = {};
  /// How long the others are waited for. PyTorch's default for NCCL.
  std::chrono::seconds patience = std::chrono::minutes(10);
};

/// Every process must make the same calls in the same order, with spans of the same size. All of them may
/// wait for the others, and throw Error if those fail or do not come in time.
class Communicator {
 public:
  explicit Communicator(GroupPlace place) : place_(std::move(place)) {}
  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;  // who it connects is one
  Communicator& operator=(const Communicator&) = delete;

  const GroupPlace& place() const { return place_; }
  int rank() const { return place_.rank; }
  int size() const { return place_.size; }
  bool leads() const { return rank() == 0; }

  /// What carries the messages: "Open MPI v4.1.4".
  virtual std::string description() const = 0;

  /// The element-wise sum over all processes, in place, with the same bits in each of them.
  virtual void sum(std::span<float> values) = 0;
  virtual void sum(std::span<double> values) = 0;
  /// Rank 0's bytes for all.
  virtual void broadcast(std::span<std::byte> bytes) = 0;
  /// Rank 0 gets the values of all, in the order of ranks; the others get nothing.
  virtual std::vector<double> gather(std::span<const double> values) = 0;
  /// Returns when all processes have called it.
  virtual void barrier() = 0;

  /// To be called now and then while something else waits for the others: so they find this process.
  virtual void attend() {}
  /// The ranks that neither wait for others nor attend: dead, or busy with something else. Nothing if that
  /// cannot be known here.
  virtual std::optional<std::vector<int>> silent() { return std::nullopt; }

  /// The last call, when all went well: takes leave of the others. What is destroyed without it counts as
  /// failed.
  virtual void leave() = 0;
  /// Ends all processes of the group, this one with `code`, without unwinding.
  [[noreturn]] virtual void abort(int code) = 0;

 private:
  GroupPlace place_;
};

/// A process alone, for which there is nothing to say.
class Alone final : public Communicator {
 public:
  Alone() : Communicator({}) {}
  std::string description() const override { return "one process"; }
  void sum(std::span<float>) override {}
  void sum(std::span<double>) override {}
  void broadcast(std::span<std::byte>) override {}
  std::vector<double> gather(std::span<const double> values) override {
    return {values.begin(), values.end()};
  }
  void barrier() override {}
  void leave() override {}
  [[noreturn]] void abort(int code) override { std::_Exit(code); }
};

/// The group, or that of a process alone.
inline std::shared_ptr<Communicator> group_or_alone(std::shared_ptr<Communicator> group) {
  return group ? std::move(group) : std::make_shared<Alone>();
}

/// The sum of one number over all processes.
inline double sum_of(Communicator& group, double value) {
  group.sum(std::span<double>(&value, 1));
  return value;
}

}  // namespace convoy
