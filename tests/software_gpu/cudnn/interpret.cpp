#include "tests/software_gpu/cudnn/interpret.h"

#include "tests/software_gpu/gpu.h"
#include "tests/software_gpu/number.h"

namespace software_gpu {
namespace {

Values load(const TensorInfo& t, const void* memory) {
  Values values(static_cast<std::size_t>(t.count()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = t.type == CUDNN_DATA_FLOAT      ? load_float(memory, i)
                : t.type == CUDNN_DATA_BFLOAT16 ? load_bfloat16(memory, i)
                                                : static_cast<const std::int8_t*>(memory)[i];
  }
  return values;
}

void store(const TensorInfo& t, const Values& values, void* memory) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (t.type == CUDNN_DATA_FLOAT) {
      store_float(memory, i, values[i]);
    } else if (t.type == CUDNN_DATA_BFLOAT16) {
      store_bfloat16(memory, i, values[i]);
    } else {
      static_cast<std::int8_t*>(memory)[i] = static_cast<std::int8_t>(values[i]);
    }
  }
}

void round(const TensorInfo& t, Values& values) {
  if (t.type == CUDNN_DATA_INT8) return;
  for (double& value : values) {
    const auto single = static_cast<float>(value);
    value = t.type == CUDNN_DATA_FLOAT ? single : round_to_bfloat16(single);
  }
}

void evaluate(Evaluation& e, bool tf32) {
  switch (e.op().type) {
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
      return evaluate_convolution(e, tf32);
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
      return evaluate_pointwise(e);
    case CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR:
      return evaluate_norm(e);
    default:
      return evaluate_resample(e);
  }
}

}  // namespace

void interpret(const Bound& bound) {
  const Program& program = *bound.program;
  const std::set<std::int64_t> written = program.written();
  std::map<std::int64_t, Values> values;
  for (const auto& [uid, tensor] : program.tensors) {
    if (tensor.by_value) {
      values[uid] = {bound.scalars.at(uid)};
    } else if (!tensor.is_virtual && !written.contains(uid)) {
      values[uid] = load(tensor, bound.memory.at(uid));
    }
  }
  for (const OperationInfo& op : program.operations) {
    Evaluation evaluation(program, op, values);
    evaluate(evaluation, bound.tf32);
    for (const std::string& output : op.outputs) {
      const std::int64_t uid = op.operands.at(output);
      round(program.tensors.at(uid), values.at(uid));
    }
  }
  for (const std::int64_t uid : written) {
    const TensorInfo& tensor = program.tensors.at(uid);
    if (!tensor.is_virtual) store(tensor, values.at(uid), bound.memory.at(uid));
  }
}

}  // namespace software_gpu
