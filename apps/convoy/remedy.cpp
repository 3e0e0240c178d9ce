#include "apps/convoy/remedy.h"

namespace convoy {

std::string in_flags(Remedy remedy) {
  switch (remedy) {
    case Remedy::smaller_batch:
      return "; try a smaller --batch-size";
    case Remedy::another_device:
      return "; or take --device cpu";
    case Remedy::another_plan_cache:
      return "; name another folder with --plan-cache";
    case Remedy::none:
      break;
  }
  return {};
}

std::string with_remedy(const Error& error) { return error.what() + in_flags(error.remedy()); }

}  // namespace convoy
