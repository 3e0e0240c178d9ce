#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "convoy/model.h"

namespace convoy {
namespace {

/// 29034 -> "29,034", whatever the locale.
std::string grouped(std::int64_t count) {
  std::string digits = std::to_string(count);
  for (std::size_t end = digits.size(); end > 3; end -= 3) digits.insert(end - 3, ",");
  return digits;
}

using Row = std::array<std::string, 5>;

Row row_of(const LayerInfo& info) {
  return {info.name, type_name(*info.layer), info.output.str(), grouped(info.parameters),
          grouped(info.forward_flops + info.backward_flops)};
}

}  // namespace

std::string summary(const Model& model, std::int64_t batch) {
  std::vector<Row> rows = {{"layer", "type", "output", "parameters", "FLOP a step"}};
  std::int64_t parameters = 0;
  std::int64_t flops = 0;
  for (const LayerInfo& info : infer(model, batch)) {
    rows.push_back(row_of(info));
    parameters += info.parameters;
    flops += info.forward_flops + info.backward_flops;
  }

  std::array<std::size_t, 5> width{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], row[i].size());
  }
  std::string table;
  for (const Row& row : rows) {  // text to the left, numbers to the right
    table += fmt::format("{:<{}}  {:<{}}  {:<{}}  {:>{}}  {:>{}}\n", row[0], width[0], row[1], width[1],
                         row[2], width[2], row[3], width[3], row[4], width[4]);
  }
  return table + fmt::format("{} parameters, {:.3f} GFLOP a training step at batch {}\n", grouped(parameters),
                             static_cast<double>(flops) / 1e9, batch);
}

}  // namespace convoy
