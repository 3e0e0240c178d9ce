// What an update does with a parameter beside following its gradient.
#pragma once

#include <cstdint>

namespace convoy {

enum class ParameterGroup : std::uint8_t {
  decayed,         // weight decay pulls it towards 0
  undecayed,       // weight decay leaves it alone
  orthogonalized,  // Adam and SGD leave it alone: Muon updates it
};

}  // namespace convoy
