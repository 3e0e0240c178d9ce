// What finalising a descriptor checks and computes.
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/software_gpu/cudnn/descriptor.h"
#include "tests/software_gpu/gpu.h"

namespace software_gpu {
namespace {

constexpr std::int64_t kAlignment = 16;  // bytes; with less the real library has few engines
constexpr int kFormat = 1;

void require(bool condition, const char* what, cudnnStatus_t status = CUDNN_STATUS_BAD_PARAM) {
  if (!condition) throw Refusal{status, what};
}

void finalize_tensor(Descriptor& d) {
  TensorInfo& t = d.tensor;
  t.uid = d.value<std::int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID);
  t.type = d.value<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE);
  t.alignment = d.value<std::int64_t>(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT);
  t.is_virtual = d.has(CUDNN_ATTR_TENSOR_IS_VIRTUAL) && d.value<bool>(CUDNN_ATTR_TENSOR_IS_VIRTUAL);
  t.by_value = d.has(CUDNN_ATTR_TENSOR_IS_BY_VALUE) && d.value<bool>(CUDNN_ATTR_TENSOR_IS_BY_VALUE);
  std::ranges::copy(d.values<std::int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS), t.dims.begin());
  for (const std::int64_t dim : t.dims) require(dim > 0, "a dimension is not positive");

  const auto strides = d.values<std::int64_t>(CUDNN_ATTR_TENSOR_STRIDES);
  const Dims packed = {t.dims[1] * t.dims[2] * t.dims[3], 1, t.dims[3] * t.dims[1], t.dims[1]};
  require(std::ranges::equal(strides, packed), "the strides are not those of packed N,H,W,C",
          CUDNN_STATUS_NOT_SUPPORTED_LAYOUT);
  require(t.type == CUDNN_DATA_FLOAT || t.type == CUDNN_DATA_BFLOAT16 || t.type == CUDNN_DATA_INT8,
          "the data type is not simulated", CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE);
  require(t.by_value || t.alignment == kAlignment, "the alignment is not 16 bytes");
  require(!t.by_value || (t.count() == 1 && t.type == CUDNN_DATA_FLOAT), "only a float goes by value");
  require(!(t.by_value && t.is_virtual), "a tensor is virtual and by value");
}

std::vector<std::int64_t> integers(const Descriptor& d, const Rule& rule) {
  std::vector<std::int64_t> result;
  if (rule.type == CUDNN_TYPE_INT64) {
    std::ranges::copy(d.values<std::int64_t>(rule.name), std::back_inserter(result));
    return result;
  }
  for (const cudnnFraction_t& f : d.values<cudnnFraction_t>(rule.name)) {
    require(f.denominator == 1, "a window is not of whole pixels", CUDNN_STATUS_NOT_SUPPORTED);
    result.push_back(f.numerator);
  }
  return result;
}

bool same_bytes(const Descriptor& d, cudnnBackendAttributeName_t a, cudnnBackendAttributeName_t b) {
  return d.attributes.at(a).bytes == d.attributes.at(b).bytes;
}

void finalize_convolution(Descriptor& d) {
  require(d.value<cudnnDataType_t>(CUDNN_ATTR_CONVOLUTION_COMP_TYPE) == CUDNN_DATA_FLOAT,
          "a convolution does not compute in fp32");
  require(d.value<cudnnConvolutionMode_t>(CUDNN_ATTR_CONVOLUTION_CONV_MODE) == CUDNN_CROSS_CORRELATION,
          "only cross-correlation is simulated");
  require(d.value<std::int64_t>(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS) == 2,
          "two spatial dimensions are wanted");
  require(same_bytes(d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS),
          "only equal paddings are simulated");
}

void finalize_resample(Descriptor& d) {
  const auto mode = d.value<cudnnResampleMode_t>(CUDNN_ATTR_RESAMPLE_MODE);
  const auto padding = d.value<cudnnPaddingMode_t>(CUDNN_ATTR_RESAMPLE_PADDING_MODE);
  require(d.value<cudnnDataType_t>(CUDNN_ATTR_RESAMPLE_COMP_TYPE) == CUDNN_DATA_FLOAT,
          "a resample does not compute in fp32");
  require(d.value<std::int64_t>(CUDNN_ATTR_RESAMPLE_SPATIAL_DIMS) == 2, "two spatial dimensions are wanted");
  require(same_bytes(d, CUDNN_ATTR_RESAMPLE_PRE_PADDINGS, CUDNN_ATTR_RESAMPLE_POST_PADDINGS),
          "only equal paddings are simulated");
  require(padding == (mode == CUDNN_RESAMPLE_MAXPOOL ? CUDNN_NEG_INF_PAD : CUDNN_ZERO_PAD),
          "the padding mode does not fit the resample mode");
}

// Modes and windows that an operation has from the descriptor of its parameters.
void take_parameters(OperationInfo& op, const Descriptor& parameters) {
  for (const Rule& rule : *rules_of(parameters.type)) {
    if (rule.key) op.window[rule.key] = integers(parameters, rule);
  }
  if (parameters.type == CUDNN_BACKEND_POINTWISE_DESCRIPTOR) {
    op.mode = parameters.value<cudnnPointwiseMode_t>(CUDNN_ATTR_POINTWISE_MODE);
  }
  if (parameters.type == CUDNN_BACKEND_RESAMPLE_DESCRIPTOR) {
    op.mode = parameters.value<cudnnResampleMode_t>(CUDNN_ATTR_RESAMPLE_MODE);
  }
}

void finalize_operation(Descriptor& d) {
  OperationInfo& op = d.operation;
  Program alone;
  op.type = d.type;
  for (const Rule& rule : *rules_of(d.type)) {
    if (!d.has(rule.name)) continue;
    if (rule.key) {
      const TensorInfo& tensor = d.child(rule.name).tensor;
      op.operands[rule.key] = tensor.uid;
      if (rule.use == Rule::Use::output) op.outputs.insert(rule.key);
      alone.tensors[tensor.uid] = tensor;
    } else if (rule.type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
      take_parameters(op, d.child(rule.name));
    } else if (rule.type == CUDNN_TYPE_FLOAT) {
      const bool alpha = rule.name == CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA ||
                         rule.name == CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA ||
                         rule.name == CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA;
      require(d.value<float>(rule.name) == (alpha ? 1.0f : 0.0f), "only alpha 1 and beta 0 are simulated");
    }
  }
  if (d.type == CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR) {
    op.mode = d.value<cudnnBackendNormFwdPhase_t>(CUDNN_ATTR_OPERATION_NORM_FWD_PHASE);
    if (op.mode == CUDNN_NORM_FWD_TRAINING) op.outputs.insert({"mean", "inv_std"});
  }
  const std::string wrong = check_operation(alone, op);
  if (!wrong.empty()) throw Refusal{CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH, wrong};
}

void check_handle(const Descriptor& d, cudnnBackendAttributeName_t name) {
  require(is_alive("cudnn handles", d.value<cudnnHandle_t>(name)), "the handle is not alive",
          CUDNN_STATUS_NOT_INITIALIZED);
}

void finalize_graph(Descriptor& d) {
  auto program = std::make_shared<Program>();
  for (const Descriptor::Pointer& operation : d.attributes.at(CUDNN_ATTR_OPERATIONGRAPH_OPS).children) {
    require(!operation->operation.operands.empty(), "a graph is given something that is no operation",
            CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE);
    for (const auto& [name, attribute] : operation->attributes) {
      for (const Descriptor::Pointer& child : attribute.children) {
        if (child->type != CUDNN_BACKEND_TENSOR_DESCRIPTOR) continue;
        const auto [known, added] = program->tensors.emplace(child->tensor.uid, child->tensor);
        require(known->second == child->tensor, "two tensors share a unique id",
                CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES);
      }
    }
    program->operations.push_back(operation->operation);
  }
  const std::string wrong = check_connections(*program);
  if (!wrong.empty()) throw Refusal{CUDNN_STATUS_BAD_PARAM, wrong};
  d.program = std::move(program);
  d.by_handle = d.has(CUDNN_ATTR_OPERATIONGRAPH_HANDLE);
  if (d.by_handle) check_handle(d, CUDNN_ATTR_OPERATIONGRAPH_HANDLE);
}

void finalize_heuristics(Descriptor& d) {
  d.program = d.child(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH).program;
  d.by_handle = d.child(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH).by_handle;
  require(d.by_handle != d.has(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP),
          "heuristics are for the graph's handle or for a described device");
  if (d.value<cudnnBackendHeurMode_t>(CUDNN_ATTR_ENGINEHEUR_MODE) == CUDNN_HEUR_MODE_FALLBACK) return;
  d.engines = engines_for(*d.program);
  require(!d.engines.empty(), "no engine supports the graph", CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN);
}

std::string text_of(const Descriptor& d, cudnnBackendAttributeName_t name) {
  const auto characters = d.values<char>(name);
  return {characters.begin(), characters.end()};
}

void finalize_device(Descriptor& d) {
  const bool from_handle = d.has(CUDNN_ATTR_DEVICEPROP_HANDLE);
  require(from_handle != d.has(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION),
          "a device is described by a handle or by JSON");
  if (from_handle) check_handle(d, CUDNN_ATTR_DEVICEPROP_HANDLE);
  d.json = from_handle ? device_json() : text_of(d, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION);
  const std::string wrong = check_device(d.json);
  if (!wrong.empty()) throw Refusal{CUDNN_STATUS_BAD_PARAM, wrong};
}

void make_plan(Descriptor& d) {
  const Descriptor& configuration = d.child(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
  d.by_handle = d.has(CUDNN_ATTR_EXECUTION_PLAN_HANDLE);
  require(d.by_handle != d.has(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP),
          "a plan is made for a handle or a described device");
  require(d.by_handle == configuration.by_handle, "a plan is made for another device than its graph");
  if (d.by_handle) check_handle(d, CUDNN_ATTR_EXECUTION_PLAN_HANDLE);
  const std::string device = d.by_handle ? device_json() : d.child(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP).json;
  require(configuration.engine.finalizes, "the engine does not support the graph after all",
          CUDNN_STATUS_NOT_SUPPORTED);
  d.program = configuration.program;
  d.engine = configuration.engine;
  d.json = nlohmann::json{{"format", kFormat},
                          {"device", nlohmann::json::parse(device)},
                          {"engine", d.engine.index},
                          {"workspace", d.engine.workspace},
                          {"tf32", d.engine.rounds_to_tf32},
                          {"program", to_json(*d.program)}}
               .dump();
}

void load_plan(Descriptor& d) {
  const bool described = d.has(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
  require(described != d.has(CUDNN_ATTR_EXECUTION_PLAN_HANDLE),
          "a plan is loaded for a handle or a described device");
  if (!described) check_handle(d, CUDNN_ATTR_EXECUTION_PLAN_HANDLE);
  require(std::getenv("SOFTWARE_GPU_NO_PLAN_TEXT") == nullptr, "SOFTWARE_GPU_NO_PLAN_TEXT asks for it",
          CUDNN_STATUS_NOT_SUPPORTED);
  const auto device =
      nlohmann::json::parse(described ? d.child(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP).json : device_json());
  d.json = text_of(d, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION);
  try {
    const auto json = nlohmann::json::parse(d.json);
    require(json.at("format") == kFormat, "the plan is of another version",
            CUDNN_STATUS_SERIALIZATION_VERSION_MISMATCH);
    require(json.at("device") == device, "the plan is for another device",
            CUDNN_STATUS_NOT_SUPPORTED_ARCH_MISMATCH);
    d.engine.index = json.at("engine");
    d.engine.workspace = json.at("workspace");
    d.engine.milliseconds = milliseconds_of(d.engine.index);
    d.engine.rounds_to_tf32 = json.at("tf32");
    d.program = std::make_shared<const Program>(program_from(json.at("program")));
  } catch (const nlohmann::json::exception& error) {
    throw Refusal{CUDNN_STATUS_BAD_PARAM, std::string("the plan is damaged: ") + error.what()};
  }
}

void finalize_plan(Descriptor& d) {
  const bool load = d.has(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION);
  require(load != d.has(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG), "a plan is made or loaded");
  load ? load_plan(d) : make_plan(d);
}

}  // namespace

void Descriptor::finalize() {
  require(!finalized, "a descriptor is finalised twice");
  for (const Rule& rule : *rules_of(type)) {
    if (rule.required && !has(rule.name)) {
      throw Refusal{CUDNN_STATUS_BAD_PARAM, "descriptor type " + std::to_string(type) + " lacks attribute " +
                                                std::to_string(rule.name)};
    }
  }
  switch (type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR:
      finalize_tensor(*this);
      break;
    case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR:
      finalize_convolution(*this);
      break;
    case CUDNN_BACKEND_RESAMPLE_DESCRIPTOR:
      finalize_resample(*this);
      break;
    case CUDNN_BACKEND_POINTWISE_DESCRIPTOR:
      require(value<cudnnDataType_t>(CUDNN_ATTR_POINTWISE_MATH_PREC) == CUDNN_DATA_FLOAT,
              "a pointwise operation does not compute in fp32");
      break;
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
      finalize_graph(*this);
      break;
    case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR:
      finalize_heuristics(*this);
      break;
    case CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR:
      finalize_device(*this);
      break;
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:
      finalize_plan(*this);
      break;
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR:
      require(attributes.at(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS).count ==
                  attributes.at(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS).count,
              "ids and pointers differ in number");
      break;
    case CUDNN_BACKEND_ENGINECFG_DESCRIPTOR:
    case CUDNN_BACKEND_ENGINE_DESCRIPTOR:
      throw Refusal{CUDNN_STATUS_NOT_SUPPORTED, "only heuristics make engines here"};
    default:
      finalize_operation(*this);
  }
  finalized = true;
}

}  // namespace software_gpu
