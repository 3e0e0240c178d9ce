// TensorBoard's events: the bytes by published values, and the messages by a decoder of their own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>

#include "apps/convoy/tensorboard/event_file.h"
#include "apps/convoy/tensorboard/messages.h"
#include "convoy/builtin.h"
#include "engine/io/little_endian.h"
#include "tests/temporary_folder.h"

namespace convoy {
namespace {

using testing::ElementsAre;

/// A message taken apart: the values of each field in their order; numbers as 8 bytes.
class Decoded {
 public:
  explicit Decoded(std::string bytes) : bytes_(std::move(bytes)) {
    while (at_ < bytes_.size()) {
      const std::uint64_t key = varint();
      std::string& value = fields_[static_cast<int>(key >> 3)].emplace_back();
      switch (key & 7u) {
        case 0:
          value = to_little_endian(varint(), 8);
          break;
        case 1:
          value = take(8);
          break;
        case 2:
          value = take(varint());
          break;
        case 5:
          value = take(4);
          break;
        default:
          ADD_FAILURE() << "wire type " << (key & 7u);
      }
    }
  }

  std::string text(int field, std::size_t index = 0) const {
    const auto found = fields_.find(field);
    if (found == fields_.end() || index >= found->second.size()) return "";
    return found->second[index];
  }
  std::size_t count(int field) const { return fields_.contains(field) ? fields_.at(field).size() : 0; }
  Decoded message(int field, std::size_t index = 0) const { return Decoded(text(field, index)); }
  std::int64_t integer(int field) const { return static_cast<std::int64_t>(number<8>(text(field))); }
  double real(int field) const { return std::bit_cast<double>(number<8>(text(field))); }
  float real32(int field) const {
    return std::bit_cast<float>(static_cast<std::uint32_t>(number<4>(text(field))));
  }
  std::vector<double> reals(int field) const {
    std::vector<double> values;
    const std::string packed = text(field);
    for (std::size_t i = 0; i + 8 <= packed.size(); i += 8)
      values.push_back(std::bit_cast<double>(number<8>(packed.substr(i, 8))));
    return values;
  }

  template <std::size_t kBytes>
  static std::uint64_t number(const std::string& bytes) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < kBytes && i < bytes.size(); ++i)
      value |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
    return value;
  }

 private:
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; at_ < bytes_.size(); shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes_[at_++]);
      value |= std::uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80u) break;
    }
    return value;
  }
  std::string take(std::uint64_t count) {
    EXPECT_LE(at_ + count, bytes_.size());
    const std::string taken = bytes_.substr(at_, count);
    at_ += count;
    return taken;
  }

  std::string bytes_;
  std::size_t at_ = 0;
  std::map<int, std::vector<std::string>> fields_;
};

Decoded decoded(const ProtoMessage& message) { return Decoded(message.bytes()); }

/// The one value of an event's summary.
Decoded value_of(const ProtoMessage& event) { return decoded(event).message(5).message(1); }

// RFC 3720, appendix B.4, and the check value of the algorithm's catalogue entry.
TEST(Crc32c, IsAsItsRfcHasIt) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(crc32c(""), 0u);
}

// The wire format's documentation has these: field 1 with 150, field 2 with "testing".
TEST(ProtoMessage, IsAsTheFormatsDocumentationHasIt) {
  EXPECT_EQ(ProtoMessage().integer(1, 150).bytes(), "\x08\x96\x01");
  EXPECT_EQ(ProtoMessage().text(2, "testing").bytes(), "\x12\x07testing");
  EXPECT_EQ(ProtoMessage().message(3, ProtoMessage().integer(1, 150)).bytes(), "\x1a\x03\x08\x96\x01");
  EXPECT_EQ(ProtoMessage().integer(1, -2).bytes().size(), 11u);
  EXPECT_EQ(decoded(ProtoMessage().integer(1, -2)).integer(1), -2);
  EXPECT_EQ(decoded(ProtoMessage().real(1, 0.1)).real(1), 0.1);
}

TEST(EventFile, HasRecordsWithTheirChecksums) {
  const TemporaryFolder folder;
  {
    EventFile file(folder / "tensorboard");
    file.write(scalar_event(3, "loss", 0.5));
  }
  const auto path = std::filesystem::directory_iterator(folder / "tensorboard")->path();
  EXPECT_THAT(path.filename().string(), testing::StartsWith("events.out.tfevents."));
  const std::string bytes = read_file(path);
  std::vector<Decoded> events;
  const auto check = [&](std::size_t begin, std::size_t length) {
    const auto masked = static_cast<std::uint32_t>(Decoded::number<4>(bytes.substr(begin + length, 4)));
    const std::uint32_t rotated = masked - 0xa282ead8u;
    EXPECT_EQ(rotated << 15 | rotated >> 17, crc32c(bytes.substr(begin, length)));
  };
  for (std::size_t at = 0; at < bytes.size();) {
    const std::uint64_t length = Decoded::number<8>(bytes.substr(at, 8));
    ASSERT_LE(at + 16 + length, bytes.size());
    check(at, 8);
    check(at + 12, length);
    events.emplace_back(bytes.substr(at + 12, length));
    at += 16 + length;
  }
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].text(3), "brain.Event:2");
  EXPECT_GT(events[1].real(1), 1.7e9) << "seconds since 1970";
  EXPECT_EQ(events[1].integer(2), 3);
  EXPECT_EQ(events[1].message(5).message(1).real32(2), 0.5f);
}

TEST(Events, AHistogramCountsEveryFiniteValue) {
  const std::vector<double> values = {-1, 0, 0.1, 2, std::nan("")};
  const Decoded value = value_of(histogram_event(7, "weights/fc", values));
  EXPECT_EQ(value.text(1), "weights/fc");
  const Decoded histogram = value.message(5);
  EXPECT_EQ(histogram.real(1), -1.0);
  EXPECT_EQ(histogram.real(2), 2.0);
  EXPECT_EQ(histogram.real(3), 4.0);
  EXPECT_NEAR(histogram.real(4), 1.1, 1e-12);
  EXPECT_NEAR(histogram.real(5), 5.01, 1e-12);
  const std::vector<double> limits = histogram.reals(6), counts = histogram.reals(7);
  ASSERT_EQ(limits.size(), 30u);
  EXPECT_TRUE(std::ranges::is_sorted(limits));
  EXPECT_GE(limits.back(), 2.0);
  EXPECT_EQ(counts[0], 1.0);   // -1
  EXPECT_EQ(counts[10], 1.0);  // 0: a tenth of 3 wide
  EXPECT_EQ(counts[11], 1.0);
  EXPECT_EQ(counts[29], 1.0);
  EXPECT_EQ(value_of(histogram_event(1, "t", std::vector<double>{4, 4})).message(5).reals(7)[0], 2.0);
  EXPECT_EQ(decoded(histogram_event(1, "t", std::vector<double>{std::nan("")})).count(5), 0u);
}

TEST(Events, OptionsHaveTheirTypes) {
  const Json options = {{"--lr", 0.5}, {"--swa", true}, {"--data", "d"}, {"--init", nullptr}};
  const Decoded value = value_of(options_of_session_event(options, "run-1", 12.5));
  EXPECT_EQ(value.text(1), "_hparams_/session_start_info");
  EXPECT_EQ(value.message(9).message(1).text(1), "hparams");
  const Decoded session = value.message(9).message(1).message(2).message(3);
  ASSERT_EQ(session.count(1), 3u) << "null is no value";
  EXPECT_EQ(session.message(1, 0).text(1), "--lr");
  EXPECT_EQ(session.message(1, 0).message(2).real(2), 0.5);
  EXPECT_EQ(session.message(1, 1).message(2).integer(4), 1);
  EXPECT_EQ(session.message(1, 2).message(2).text(3), "d");
  EXPECT_EQ(session.text(4), "run-1");
  EXPECT_EQ(session.real(5), 12.5);
}

/// The nodes of a graph: name and inputs.
std::map<std::string, std::vector<std::string>> nodes_of(const Model& model) {
  const Decoded graph = decoded(graph_event(model)).message(4);
  std::map<std::string, std::vector<std::string>> nodes;
  for (std::size_t i = 0; i < graph.count(1); ++i) {
    const Decoded node = graph.message(1, i);
    auto& inputs = nodes[node.text(1)];
    for (std::size_t k = 0; k < node.count(3); ++k) inputs.push_back(node.text(3, k));
  }
  return nodes;
}

TEST(Events, AGraphConnectsTheLayers) {
  const auto nodes = nodes_of(builtin_model("convnet", {1, 28, 28}, 10));
  EXPECT_THAT(nodes.at("layer1/0"), ElementsAre("input"));
  EXPECT_THAT(nodes.at("layer1/1"), ElementsAre("layer1/0"));
  const auto branched = nodes_of(builtin_model("resnet9", {3, 32, 32}, 10));
  std::size_t additions = 0;
  for (const auto& [name, inputs] : branched) {
    for (const std::string& input : inputs) EXPECT_TRUE(branched.contains(input)) << name << " of " << input;
    if (!name.ends_with("/add")) continue;
    ++additions;
    EXPECT_EQ(inputs.size(), 2u) << name;
  }
  EXPECT_GT(additions, 0u);
}

TEST(EventFile, WhatCannotBeWrittenIsNoFailure) {
  const TemporaryFolder folder;
  write_file(folder / "file", "");
  EventFile file(folder / "file");  // where a folder would have to be
  file.write(scalar_event(1, "loss", 1.0));
}

}  // namespace
}  // namespace convoy
