// The messages of TensorBoard that a training writes, by their field numbers.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "apps/convoy/tensorboard/proto_message.h"
#include "convoy/model.h"
#include "engine/model/json_text.h"

namespace convoy {

/// What each file begins with: the version of the format.
ProtoMessage first_event();

/// A training goes on with that step: what was written of it and of later ones is dropped.
ProtoMessage session_event(std::int64_t step);

/// Events of one value each, under a tag ("loss/train") and the number of steps that were done.
ProtoMessage scalar_event(std::int64_t step, std::string_view tag, double value);
/// Of all values that are finite; an event without a value if none is.
ProtoMessage histogram_event(std::int64_t step, std::string_view tag, std::span<const double> values);
/// `png` are the bytes of a PNG of that size.
ProtoMessage image_event(std::int64_t step, std::string_view tag, int width, int height,
                         std::string_view png);
/// `text` is Markdown.
ProtoMessage text_event(std::string_view tag, std::string_view text);

/// The options of a training, of which numbers, texts and truth values count: what they are, and that the
/// training with them begins now. `metrics` are tags of scalars.
ProtoMessage options_event(const Json& options, std::span<const std::string_view> metrics);
ProtoMessage options_of_session_event(const Json& options, std::string_view name, double begin_seconds);
ProtoMessage session_end_event(bool succeeded, double end_seconds);

/// The network as a GraphDef: each layer is a node, named by its path ("res1/body/0").
ProtoMessage graph_event(const Model& model);

}  // namespace convoy
