// The first and the last part of a report: what the training was and came to, and how to have it again.
#include <fmt/format.h>

#include "apps/convoy/json_values.h"
#include "apps/convoy/report/html.h"
#include "apps/convoy/report/report.h"
#include "apps/convoy/terminal.h"

namespace convoy {
namespace {

std::string figure(const char* name, const std::string& value, const char* unit = "") {
  return fmt::format("<div><dt>{}</dt><dd>{}{}</dd></div>\n", name, escaped(value),
                     *unit == '\0' ? "" : fmt::format("<small>{}</small>", unit));
}

std::string figures(const Json& record, const LoggedRun& log) {
  const Json results = object_in(record, "results");
  std::string out;
  if (const auto accuracy = number_in(results, "accuracy")) {
    out += figure("Test accuracy", fmt::format("{:.2f}", 100.0 * *accuracy), "%");
  }
  if (const auto loss = number_in(results, "loss")) out += figure("Test loss", fmt::format("{:.4f}", *loss));
  if (!log.epoch_loss.empty()) {
    out += figure("Training loss", fmt::format("{:.4f}", log.epoch_loss.back().y));
    out += figure("Epochs done", fmt::format("{:.4g}", log.epoch_loss.back().x));
  }
  if (const auto seconds = number_in(results, "training_seconds")) {
    out += *seconds < 100.0 ? figure("Training", fmt::format("{:.2f}", *seconds), "s")
                            : figure("Training", duration(*seconds), *seconds < 3600.0 ? "min" : "h");
  }
  if (const auto speed = number_in(results, "images_per_second")) {
    out += figure("Images a second", grouped(*speed));
  }
  if (const auto parameters = number_in(record, "parameters")) {
    out += figure("Parameters", grouped(*parameters));
  }
  return "<dl class=\"figures\">\n" + out + "</dl>\n";
}

std::string rows_of(const Json& object, const char* caption, const char* what) {
  std::vector<std::vector<Cell>> rows;
  for (const auto& [key, value] : object.items()) {
    rows.push_back({{"<code>" + escaped(key) + "</code>"}, {escaped(value_in_words(value))}});
  }
  return table(caption, {what, "value"}, rows);
}

/// The members of run.json that are no table of their own.
Json plain_members(const Json& record) {
  Json plain = Json::object();
  for (const auto& [key, value] : record.items()) {
    if (!value.is_object() || key == "preparation") plain[key] = value;
  }
  return plain;
}

}  // namespace

std::string grouped(double number) {
  std::string digits = fmt::format("{:.0f}", number);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > (number < 0.0 ? 1 : 0); at -= 3) {
    digits.insert(static_cast<std::size_t>(at), ",");
  }
  return digits;
}

std::string value_in_words(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_null()) return "–";
  if (value.is_number_float()) return fmt::format("{:.6g}", value.get<double>());
  if (value.is_array()) {
    std::string out;
    for (const Json& each : value) out += (out.empty() ? "" : " ") + value_in_words(each);
    return out;
  }
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string head_section(const ReportContent& content) {
  const Json& record = content.record;
  std::string out = fmt::format("<header><h1>{}</h1>\n", escaped(content.name));
  const auto count = [&](const char* key) { return grouped(number_in(record, key).value_or(0.0)); };
  out += fmt::format(
      "<p>{} on {}: {} training and {} test images, {} epoch{} in batches of {}, seed {}. {}.</p>\n",
      escaped(text_in(record, "model")), escaped(text_in(record, "dataset")), count("train_samples"),
      count("test_samples"), count("epochs"), number_in(record, "epochs") == 1.0 ? "" : "s",
      count("batch_size"), record.contains("seed") ? escaped(value_in_words(record["seed"])) : "-",
      escaped(text_in(record, "device_description")));
  if (!content.failure.empty()) {
    out += fmt::format("<p class=\"warning\">This training did not end: {}.</p>\n", escaped(content.failure));
  }
  return out + figures(record, content.log) + "</header>\n";
}

std::string options_section(const Json& record) {
  if (!record.is_object()) return "";
  std::string out = "<div class=\"wrap\"><div class=\"pair\"><div>";
  const Json given = object_in(record, "flags");
  out += given.empty() ? "<p class=\"soft\">No flag was given: all options have their defaults.</p>\n"
                       : rows_of(given, "Flags that were given", "flag");
  out += "</div><div>" + rows_of(object_in(record, "versions"), "Versions", "of") + "</div></div>\n";
  if (const Json config = object_in(record, "config"); !config.empty()) {
    out += "<details><summary>All options</summary>" +
           rows_of(config, "Each flag with its value, as config.toml has them", "flag") + "</details>\n";
  }
  if (const Json results = object_in(record, "results"); !results.empty()) {
    out += "<details><summary>All figures</summary>" +
           rows_of(results, "Results, as run.json has them", "figure") + "</details>\n";
  }
  out += "<details><summary>Data, device and the rest of run.json</summary>" +
         rows_of(plain_members(record), "Other members of run.json", "member") + "</details>\n";
  return section("options", "Options and versions", out + "</div>\n");
}

}  // namespace convoy
