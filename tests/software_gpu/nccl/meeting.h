// Where the ranks of a communicator meet: a piece of shared memory of the machine, a process a rank.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace software_gpu {

/// What one rank shows the others of a call, to be the same in all.
struct Claim {
  std::uint64_t call = 0;  // ncclAllReduce, ...
  std::uint64_t type = 0;
  std::uint64_t count = 0;

  bool operator==(const Claim&) const = default;
};

class Meeting {
 public:
  static constexpr std::size_t kSlot = std::size_t{1} << 20;

  /// Rank 0 makes the memory of that name, the others open it; all are there on return. Null if one does not
  /// come within a minute.
  static std::shared_ptr<Meeting> join(const std::string& name, int ranks, int rank);
  ~Meeting();
  Meeting(const Meeting&) = delete;
  Meeting& operator=(const Meeting&) = delete;

  int ranks() const { return ranks_; }
  int rank() const { return rank_; }

  /// kSlot bytes of a rank's own, which the others read.
  std::byte* slot(int rank) const;
  Claim& claim(int rank) const;

  /// Returns when all ranks have called it: true. False, then and ever after, if one of them has ended.
  bool wait();
  bool failed() const;
  /// Lets nobody wait any more.
  void fail() const;

 private:
  struct Shared;
  Meeting(int file, Shared* shared, int ranks, int rank)
      : file_(file), shared_(shared), ranks_(ranks), rank_(rank) {}

  bool all_alive() const;

  int file_;
  Shared* shared_;
  int ranks_;
  int rank_;
};

}  // namespace software_gpu
