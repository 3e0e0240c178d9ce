#include "apps/convoy/interrupt.h"

namespace convoy {
namespace {

volatile std::sig_atomic_t interrupted_flag = 0;  // a signal handler may write nothing else

void note_interrupt(int) { interrupted_flag = 1; }

}  // namespace

InterruptGuard::InterruptGuard() {
  interrupted_flag = 0;
  struct sigaction action = {};
  action.sa_handler = note_interrupt;
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &previous_[0]);
  sigaction(SIGTERM, &action, &previous_[1]);
}

InterruptGuard::~InterruptGuard() {
  sigaction(SIGINT, &previous_[0], nullptr);
  sigaction(SIGTERM, &previous_[1], nullptr);
}

bool InterruptGuard::interrupted() { return interrupted_flag != 0; }

}  // namespace convoy
