#include "apps/convoy/plan_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/convoy/terminal.h"

namespace convoy {

std::string plan_summary(std::span<const PlanRow> rows) {
  const auto count = [&](auto matches) { return std::ranges::count_if(rows, matches); };
  const auto noted = [](const char* note) {
    return [note](const PlanRow& row) { return row.notes.find(note) != std::string::npos; };
  };
  std::int64_t workspace = 0;
  for (const PlanRow& row : rows) workspace = std::max(workspace, row.workspace);
  return fmt::format("{} planned, {} from the cache, {} own kernels, {} bytes of workspace",
                     count(noted("planned in")), count(noted("from the cache")),
                     count([](const PlanRow& row) { return row.realised_by.starts_with("own kernel"); }),
                     workspace);
}

std::string plan_table(const std::string& backend, std::span<const PlanRow> rows) {
  if (rows.empty()) return fmt::format("Nothing was planned: the {} backend needs no plans here.\n", backend);
  Table table({"operation", "realised by", "notes", "workspace"});
  for (const std::size_t column : {1, 2}) table.left(column);
  for (const PlanRow& row : rows) {
    table.add({row.operation, row.realised_by, row.notes, std::to_string(row.workspace)});
  }
  return table.str() + plan_summary(rows) + "\n";
}

}  // namespace convoy
