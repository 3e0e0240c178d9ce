#include "tests/software_gpu/cudnn/program.h"

#include <nlohmann/json.hpp>

namespace software_gpu {

using Json = nlohmann::json;

std::size_t TensorInfo::bytes() const {
  const std::int64_t element = type == CUDNN_DATA_FLOAT ? 4 : type == CUDNN_DATA_BFLOAT16 ? 2 : 1;
  return static_cast<std::size_t>(count() * element);
}

std::set<std::int64_t> Program::written() const {
  std::set<std::int64_t> ids;
  for (const OperationInfo& op : operations) {
    for (const std::string& output : op.outputs) ids.insert(op.operands.at(output));
  }
  return ids;
}

Json to_json(const Program& program) {
  Json json = {{"tensors", Json::array()}, {"operations", Json::array()}};
  for (const auto& [uid, t] : program.tensors) {
    json["tensors"].push_back({{"uid", uid},
                               {"type", static_cast<int>(t.type)},
                               {"dims", t.dims},
                               {"alignment", t.alignment},
                               {"virtual", t.is_virtual},
                               {"by_value", t.by_value}});
  }
  for (const OperationInfo& op : program.operations) {
    json["operations"].push_back({{"type", static_cast<int>(op.type)},
                                  {"mode", op.mode},
                                  {"operands", op.operands},
                                  {"outputs", op.outputs},
                                  {"window", op.window}});
  }
  return json;
}

Program program_from(const Json& json) {
  Program program;
  for (const Json& t : json.at("tensors")) {
    program.tensors[t.at("uid")] = {.uid = t.at("uid"),
                                    .type = static_cast<cudnnDataType_t>(t.at("type").get<int>()),
                                    .dims = t.at("dims"),
                                    .alignment = t.at("alignment"),
                                    .is_virtual = t.at("virtual"),
                                    .by_value = t.at("by_value")};
  }
  for (const Json& o : json.at("operations")) {
    OperationInfo op;
    op.type = static_cast<cudnnBackendDescriptorType_t>(o.at("type").get<int>());
    op.mode = o.at("mode");
    op.operands = o.at("operands").get<decltype(op.operands)>();
    op.outputs = o.at("outputs").get<decltype(op.outputs)>();
    op.window = o.at("window").get<decltype(op.window)>();
    program.operations.push_back(std::move(op));
  }
  return program;
}

}  // namespace software_gpu
