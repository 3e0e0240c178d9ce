#include "apps/convoy/plan_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/convoy/terminal.h"

namespace convoy {

std::string plan_summary(std::span<const PlanRow> rows) {
  const auto count = [&](Realisation how) { return std::ranges::count(rows, how, &PlanRow::realisation); };
  std::int64_t workspace = 0;
  for (const PlanRow& row : rows) workspace = std::max(workspace, row.workspace);
  return fmt::format("{} planned, {} from the cache, {} own kernels, {} bytes of workspace",
                     count(Realisation::planned), count(Realisation::from_cache),
                     count(Realisation::own_kernel), workspace);
}

std::string plan_table(const std::string& backend, std::span<const PlanRow> rows) {
  if (rows.empty()) return fmt::format("Nothing was planned: the {} backend needs no plans here.\n", backend);
  Table table({"operation", "realised by", "notes", "launches", "workspace"});
  for (const std::size_t column : {1, 2}) table.left(column);
  for (const PlanRow& row : rows) {
    table.add({row.operation, row.realised_by, row.notes, std::to_string(row.launches),
               std::to_string(row.workspace)});
  }
  return table.str() + plan_summary(rows) + "\n";
}

}  // namespace convoy
