#include "engine/backend/cpu/device.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "convoy/error.h"
#include "engine/backend/cpu/simd.h"

namespace convoy::cpu {
namespace {

constexpr std::size_t kAlignment = 64;  // a cache line, and the widest vector register

std::size_t rounded_up(std::size_t bytes) {
  return std::max(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
}

}  // namespace

Buffer::Buffer(std::size_t bytes)
    : bytes_(std::aligned_alloc(kAlignment, rounded_up(bytes))), size_(rounded_up(bytes)) {
  if (!bytes_) throw Error(fmt::format("cpu: no memory for {} bytes; use a smaller batch or model", bytes));
  std::memset(bytes_.get(), 0, size_);
}

void Buffer::Free::operator()(void* bytes) const { std::free(bytes); }

Device::Device()
    : threads_(settle_threads()), engine_(dnnl::engine::kind::cpu, 0), stream_(engine_), scratchpad_(0) {
  limit_simd_to_onednn();
}

void Device::reserve_scratchpad(std::size_t bytes) {
  if (bytes > scratchpad_.size()) scratchpad_ = Buffer(bytes);
}

Block::Block(const Device& device, const dnnl::memory::desc& layout)
    : bytes(std::make_shared<Buffer>(layout.get_size())), memory(layout, device.engine(), bytes->data()) {}

Task::Task(Device& device, const PrimitivePlan& plan, Arguments arguments)
    : device_(&device),
      primitive_(plan.primitive),
      arguments_(std::move(arguments)),
      scratchpad_(plan.scratchpad, device.engine(), nullptr) {
  device.reserve_scratchpad(plan.scratchpad.get_size());
  for (const auto& [number, memory] : arguments_) handles_.push_back({number, memory.get()});
  handles_.push_back({DNNL_ARG_SCRATCHPAD, scratchpad_.get()});
}

void Task::run() {
  scratchpad_.set_data_handle(device_->scratchpad());  // it may have moved since
  const dnnl_status_t status = dnnl_primitive_execute(primitive_.get(), device_->stream().get(),
                                                      static_cast<int>(handles_.size()), handles_.data());
  if (status != dnnl_success) {
    throw Error(
        fmt::format("cpu: oneDNN could not execute a primitive (status {})", static_cast<int>(status)));
  }
}

Task copy_task(Device& device, const dnnl::memory& from, const dnnl::memory& to) {
  const PrimitivePlan plan = plan_reorder(device.engine(), from.get_desc(), to.get_desc());
  return {device, plan, {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}}};
}

namespace {

/// Whether a layout is the other one by another name: with as many channels as a block has, blocks of
/// channels are channels last.
bool same_memory(const Layout& a, const Layout& b) {
  using Tag = dnnl::memory::format_tag;
  const Dims dims = dims_of(a);
  if (dims.size() != 4 || (dims[1] != 8 && dims[1] != 16) || dims != dims_of(b)) return false;
  const Layout last(dims, type_of(a), Tag::nhwc);
  const Layout blocked(dims, type_of(a), dims[1] == 16 ? Tag::nChw16c : Tag::nChw8c);
  return (a == last && b == blocked) || (a == blocked && b == last);
}

/// The same plain memory under other dimensions.
dnnl::memory redimensioned(const Device& device, const dnnl::memory& plain, const Dims& dims) {
  return {plain_layout(dims, type_of(plain.get_desc())), device.engine(), plain.get_data_handle()};
}

}  // namespace

Relaid::Relaid(Device& device, const dnnl::memory& memory, const dnnl::memory::desc& wanted, Use use)
    : memory_(memory) {
  if (memory.get_desc() == wanted) return;
  if (same_memory(memory.get_desc(), wanted)) {
    memory_ = dnnl::memory(wanted, device.engine(), memory.get_data_handle());
    return;
  }
  const Dims is = dims_of(memory.get_desc());
  const Dims becomes = dims_of(wanted);
  if (is != becomes) {
    *this = Relaid(device, memory, plain_layout(is, type_of(memory.get_desc())), use);
    memory_ = redimensioned(device, memory_, becomes);
    if (memory_.get_desc() == wanted) return;
  }
  const Block block(device, wanted);
  if (use == Use::input) {
    reorders_.push_back(copy_task(device, memory_, block.memory));
  } else {
    reorders_.insert(reorders_.begin(), copy_task(device, block.memory, memory_));
  }
  bytes_.push_back(block.bytes);
  memory_ = block.memory;
}

Relaid Relaid::input(Device& device, const dnnl::memory& source, const dnnl::memory::desc& wanted) {
  return {device, source, wanted, Use::input};
}

Relaid Relaid::output(Device& device, const dnnl::memory& destination, const dnnl::memory::desc& wanted) {
  return {device, destination, wanted, Use::output};
}

Stage::Stage(Device& device, const PrimitivePlan& plan, const std::vector<Argument>& reads,
             const std::vector<Argument>& writes) {
  Task::Arguments arguments;
  for (const Argument& read : reads) {
    inputs_.push_back(Relaid::input(device, read.memory, read.wanted));
    arguments.emplace_back(read.number, inputs_.back().memory());
  }
  for (const Argument& write : writes) {
    outputs_.push_back(Relaid::output(device, write.memory, write.wanted));
    arguments.emplace_back(write.number, outputs_.back().memory());
  }
  task_.emplace(device, plan, std::move(arguments));
}

void Stage::run() {
  for (Relaid& input : inputs_) input.copy();
  task_->run();
  for (Relaid& output : outputs_) output.copy();
}

}  // namespace convoy::cpu
