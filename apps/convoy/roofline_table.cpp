#include "apps/convoy/roofline_table.h"

#include <fmt/format.h>

namespace convoy {
namespace {

std::string rate(double amount, double ms) {  // of operations or bytes, in 1e9 a second
  return amount > 0.0 && ms > 0.0 ? fmt::format("{:.1f}", amount / ms / 1e6) : "-";
}

std::string percent(double part, double whole) {
  return part > 0.0 && whole > 0.0 ? fmt::format("{:.0f} %", 100.0 * part / whole) : "-";
}

std::string text_of(const std::optional<std::int64_t>& launches) {
  return launches ? std::to_string(*launches) : "-";
}

}  // namespace

double roofline_ms(const std::vector<PassTiming>& passes, const Roofline& roofline) {
  double sum = 0.0;
  for (const PassTiming& pass : passes) sum += roofline.ms(pass);
  return sum;
}

std::string roofline_table(const std::vector<PassTiming>& passes, const Roofline& roofline) {
  Table table({"operation", "type", "pass", "ms", "launches", "GFLOP/s", "GB/s", "of roofline"});
  for (const std::size_t column : {1, 2}) table.left(column);
  Work work;
  double ms = 0.0;
  std::optional<std::int64_t> launches;
  for (const PassTiming& pass : passes) {
    table.add({pass.name, pass.type, name_of(pass.pass), fmt::format("{:.4f}", pass.ms),
               text_of(pass.launches), rate(static_cast<double>(pass.work.flops), pass.ms),
               rate(static_cast<double>(pass.work.bytes(roofline.activation_bytes)), pass.ms),
               percent(roofline.ms(pass), pass.ms)});
    work += pass.work;
    ms += pass.ms;
    if (pass.launches) launches = launches.value_or(0) + *pass.launches;
  }
  table.add({"sum", "", "", fmt::format("{:.4f}", ms), text_of(launches),
             rate(static_cast<double>(work.flops), ms),
             rate(static_cast<double>(work.bytes(roofline.activation_bytes)), ms),
             percent(roofline_ms(passes, roofline), ms)});
  return table.str();
}

Json to_json(const std::vector<PassTiming>& passes, const Roofline& roofline) {
  Json rows = Json::array();
  for (const PassTiming& pass : passes) {
    rows.push_back({{"name", pass.name},
                    {"type", pass.type},
                    {"pass", name_of(pass.pass)},
                    {"ms", pass.ms},
                    {"launches", pass.launches ? Json(*pass.launches) : Json(nullptr)},
                    {"flops", pass.work.flops},
                    {"bytes", pass.work.bytes(roofline.activation_bytes)},
                    {"roofline_ms", roofline.ms(pass)}});
  }
  return rows;
}

}  // namespace convoy
