// report.html of a training run: one page that needs nothing else.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "apps/convoy/report/logged_run.h"
#include "convoy/dataset.h"
#include "convoy/host_tensor.h"
#include "engine/model/json_text.h"

namespace convoy {

/// What a page tells of a training. What is missing the page leaves out, or says how to get.
struct ReportContent {
  std::string name;                  // of the run's folder
  const Json& record;                // run.json
  const LoggedRun& log;              // log.jsonl
  std::string failure;               // what ended the training; empty: it is finished
  const StateDict* state = nullptr;  // the trained model's
  /// The test images, what the model puts out for them ([count, classes], empty: they were not tested), and
  /// the names of the classes.
  const Dataset* test = nullptr;
  const std::vector<double>* logits = nullptr;
  std::vector<std::string> class_names;
};

/// The page. Throws Error where a picture cannot be made.
std::string report_page(const ReportContent& content);

/// Its sections, each empty where there is nothing to show.
std::string head_section(const ReportContent& content);
std::string curves_section(const LoggedRun& log);
std::string mistakes_section(const ReportContent& content);
std::string classes_section(const ReportContent& content);
std::string filters_section(const StateDict& state);
std::string times_section(const LoggedRun& log);
std::string options_section(const Json& record);

/// 421642 as "421,642".
std::string grouped(double number);

/// A value of run.json as a reader wants it: 0.001, "yes", a text. It is no HTML yet.
std::string value_in_words(const Json& value);

}  // namespace convoy
