#include "tests/software_gpu/nccl/meeting.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "tests/software_gpu/gpu.h"

namespace software_gpu {
namespace {

constexpr int kMostRanks = 64;
constexpr auto kPatience = std::chrono::minutes(1);
constexpr int kSpinsBetweenLooks = 1000;

struct flock byte_of(int rank, short type) {
  struct flock lock = {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = rank;
  lock.l_len = 1;
  return lock;
}

// A lock that the kernel takes back when the process ends, however it does.
bool hold(int file, int rank) {
  struct flock lock = byte_of(rank, F_WRLCK);
  return fcntl(file, F_SETLK, &lock) == 0;
}

bool is_held(int file, int rank) {
  struct flock lock = byte_of(rank, F_WRLCK);
  return fcntl(file, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

}  // namespace

struct Meeting::Shared {
  std::atomic<int> joined;
  std::atomic<int> waiting;
  std::atomic<std::uint64_t> rounds;
  std::atomic<bool> failed;
  Claim claims[kMostRanks];
};

namespace {

std::size_t bytes_for(std::size_t header, int ranks) {
  return header + static_cast<std::size_t>(ranks) * Meeting::kSlot;
}

// Of rank 0. What an earlier group left behind has no living rank 0.
int make(const std::string& name, std::size_t bytes) {
  for (;;) {
    const int file = shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file >= 0) {
      if (!hold(file, 0) || ftruncate(file, static_cast<off_t>(bytes)) != 0)
        die("ncclCommInitRank: no shared memory");
      return file;
    }
    const int old = shm_open(name.c_str(), O_RDWR | O_CLOEXEC, 0600);
    if (old >= 0 && is_held(old, 0)) die("ncclCommInitRank: two groups meet at " + name);
    if (old >= 0) close(old);
    shm_unlink(name.c_str());
  }
}

// Of the others: -1 if rank 0 is not there yet.
int open_made(const std::string& name, std::size_t bytes) {
  const int file = shm_open(name.c_str(), O_RDWR | O_CLOEXEC, 0600);
  if (file < 0) return -1;
  struct stat status = {};
  if (fstat(file, &status) == 0 && status.st_size == static_cast<off_t>(bytes) && is_held(file, 0))
    return file;
  close(file);
  return -1;
}

}  // namespace

std::shared_ptr<Meeting> Meeting::join(const std::string& name, int ranks, int rank) {
  if (ranks > kMostRanks) die("ncclCommInitRank: more ranks than are simulated");
  const auto until = std::chrono::steady_clock::now() + kPatience;
  const std::size_t bytes = bytes_for(sizeof(Shared), ranks);
  int file = rank == 0 ? make(name, bytes) : -1;
  while (file < 0) {
    if (std::chrono::steady_clock::now() > until) return nullptr;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    file = open_made(name, bytes);
  }
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED || (rank != 0 && !hold(file, rank))) die("ncclCommInitRank: no shared memory");
  const std::shared_ptr<Meeting> meeting(new Meeting(file, static_cast<Shared*>(memory), ranks, rank));
  ++meeting->shared_->joined;
  while (meeting->shared_->joined != ranks) {
    if (std::chrono::steady_clock::now() > until) return nullptr;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (rank == 0) shm_unlink(name.c_str());  // nothing is left of it when all have ended
  return meeting;
}

Meeting::~Meeting() {
  munmap(shared_, bytes_for(sizeof(Shared), ranks_));
  close(file_);
}

std::byte* Meeting::slot(int rank) const {
  return reinterpret_cast<std::byte*>(shared_ + 1) + static_cast<std::size_t>(rank) * kSlot;
}

Claim& Meeting::claim(int rank) const { return shared_->claims[rank]; }

bool Meeting::wait() {
  if (failed()) return false;
  const std::uint64_t round = shared_->rounds;
  if (++shared_->waiting == ranks_) {
    shared_->waiting = 0;
    ++shared_->rounds;
    return true;
  }
  for (int spins = 1; shared_->rounds == round; ++spins) {
    if (failed()) return false;
    if (spins % kSpinsBetweenLooks == 0 && !all_alive()) fail();
    sched_yield();
  }
  return true;
}

bool Meeting::failed() const { return shared_->failed; }
void Meeting::fail() const { shared_->failed = true; }

bool Meeting::all_alive() const {
  for (int other = 0; other < ranks_; ++other) {
    if (other != rank_ && !is_held(file_, other)) return false;
  }
  return true;
}

}  // namespace software_gpu
