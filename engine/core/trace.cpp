#include "engine/core/trace.h"

#include <nvtx3/nvToolsExt.h>

namespace convoy::trace {
namespace {

nvtxDomainHandle_t domain() {
  static const nvtxDomainHandle_t handle = nvtxDomainCreateA("convoy");
  return handle;
}

nvtxEventAttributes_t attributes(void* name) {
  nvtxEventAttributes_t attributes{};
  attributes.version = NVTX_VERSION;
  attributes.size = NVTX_EVENT_ATTRIB_STRUCT_SIZE;
  attributes.messageType = NVTX_MESSAGE_TYPE_REGISTERED;
  attributes.message.registered = static_cast<nvtxStringHandle_t>(name);
  return attributes;
}

}  // namespace

Name::Name(const std::string& text) : handle_(nvtxDomainRegisterStringA(domain(), text.c_str())) {}

Range::Range(const Name& name) {
  const nvtxEventAttributes_t event = attributes(name.handle_);
  nvtxDomainRangePushEx(domain(), &event);
}

Range::Range(const Name& name, std::int64_t payload) {
  nvtxEventAttributes_t event = attributes(name.handle_);
  event.payloadType = NVTX_PAYLOAD_TYPE_INT64;
  event.payload.llValue = payload;
  nvtxDomainRangePushEx(domain(), &event);
}

Range::~Range() { nvtxDomainRangePop(domain()); }

}  // namespace convoy::trace
