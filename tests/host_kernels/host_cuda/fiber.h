// A stack that can be switched to, over Boost.Context's fcontext; every switch is told to the sanitizers.
#pragma once

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>

namespace host_cuda {

class Fiber {
 public:
  struct Caller {};

  /// A fiber with a stack of its own, below which lies a guard page.
  Fiber();
  /// The stack that the program itself runs on.
  explicit Fiber(Caller);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// The next switch to this fiber starts `entry`, which must never return.
  void prepare(void (*entry)());
  /// Continues `to`; returns when someone switches back.
  void switch_to(Fiber& to);
  /// Continues `to` for good: this fiber's frames are dead.
  [[noreturn]] void leave_to(Fiber& to);

 private:
  void jump(Fiber& to, void** fake_stack);
  static void landed(boost::context::detail::transfer_t transfer);
  static void start(boost::context::detail::transfer_t transfer);

  boost::context::detail::fcontext_t context_ = nullptr;
  void (*entry_)() = nullptr;
  char* mapping_ = nullptr;
  const void* bottom_ = nullptr;  // of the stack, as ASan wants it
  std::size_t size_ = 0;
  void* fake_stack_ = nullptr;  // ASan's, while this fiber is switched away
  void* tsan_ = nullptr;
};

}  // namespace host_cuda
