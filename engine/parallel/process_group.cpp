#include "convoy/process_group.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <string_view>

#include "engine/parallel/launch.h"
#include "engine/parallel/mpi.h"

namespace convoy {
namespace {

/// A place among processes that nothing connects yet: a backend that can do that must.
class Unconnected final : public Communicator {
 public:
  using Communicator::Communicator;
  std::string description() const override {
    return fmt::format("nothing yet, to meet at {}", place().meeting);
  }
  void sum(std::span<float>) override { refuse(); }
  void sum(std::span<double>) override { refuse(); }
  void broadcast(std::span<std::byte>) override { refuse(); }
  std::vector<double> gather(std::span<const double>) override { refuse(); }
  void barrier() override { refuse(); }
  void leave() override {}
  [[noreturn]] void abort(int code) override { std::_Exit(code); }  // the launcher sees it

 private:
  [[noreturn]] void refuse() const {
    throw UsageError(
        fmt::format("the {} processes that torchrun or srun started can only train on GPUs, where NCCL "
                    "connects them: take --device cuda, or start them with mpirun",
                    size()));
  }
};

void set_patience(GroupPlace& place) {
  const char* const text = std::getenv("CONVOY_GROUP_TIMEOUT");
  if (text == nullptr || *text == '\0') return;
  const std::string_view value(text);
  int seconds = 0;
  const auto [stop, status] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (status != std::errc() || stop != value.data() + value.size() || seconds < 1) {
    throw UsageError(
        fmt::format("CONVOY_GROUP_TIMEOUT={} is not a whole number of seconds, at least 1", value));
  }
  place.patience = std::chrono::seconds(seconds);
}

}  // namespace

std::shared_ptr<Communicator> join_group() {
  Launch launch = launch_of([](const char* name) { return std::getenv(name); });
  set_patience(launch.place);
  switch (launch.launcher) {
    case Launcher::mpi:
      return join_mpi(launch.place);
    case Launcher::variables:
      if (launch.place.size > 1) return std::make_shared<Unconnected>(launch.place);
      break;
    case Launcher::none:
      break;
  }
  return std::make_shared<Alone>();
}

int rank_of(const Communicator& group) { return group.rank(); }
int size_of(const Communicator& group) { return group.size(); }
void leave_group(Communicator& group) { group.leave(); }

}  // namespace convoy
