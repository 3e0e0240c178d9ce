// What a model says of a picture, and how that is written.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "apps/convoy/terminal.h"
#include "convoy/shape.h"

namespace convoy {

/// What a model says of one picture.
struct Prediction {
  std::string file;
  std::string how;                       // it was prepared
  std::span<const std::uint8_t> pixels;  // [C, H, W], as the model saw them
  std::span<const double> logits;
  std::vector<double> probabilities;

  /// The class with the largest probability.
  std::size_t best() const;
};

/// Two lines: the file with its class, and the probabilities of all classes.
std::string text_of(const Prediction& prediction, const std::vector<std::string>& classes);

/// The event `prediction`.
Json json_of(const Prediction& prediction, const std::vector<std::string>& classes);

/// The file with its class, then what the model saw of it and the most probable classes, drawn for the
/// terminal at standard output.
std::string drawing_of(const Prediction& prediction, const std::vector<std::string>& classes,
                       const Shape& image);

/// A field of a line of CSV (RFC 4180): in double quotes if it has a comma, a quote or a line break.
std::string csv_field(const std::string& text);

/// "image,prediction,probability" and the names of all classes. Lines end with a line feed.
std::string csv_header(const std::vector<std::string>& classes);

/// The line of one picture. A probability has the digits that a float needs.
std::string csv_line(const Prediction& prediction, const std::vector<std::string>& classes);

}  // namespace convoy
