#include "kv_events/msgpack.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <bit>
#include <string>

namespace payonce::kv_events {
namespace {

using Type = MsgPackReader::Type;

std::string bytes(std::initializer_list<int> values) {
  std::string out;
  for (const int value : values) out.push_back(static_cast<char>(value));
  return out;
}

// The shortest encoding, as the specification asks for.
std::string packed(int64_t value) {
  const auto tail = [&](int tag, int size) {
    std::string out = bytes({tag});
    for (int i = size - 1; i >= 0; --i) out.push_back(static_cast<char>(value >> (8 * i)));
    return out;
  };
  if (value >= -32 && value <= 127) return bytes({static_cast<int>(value & 0xff)});
  if (value >= 0)
    return value <= 0xff         ? tail(0xcc, 1)
           : value <= 0xffff     ? tail(0xcd, 2)
           : value <= 0xffffffff ? tail(0xce, 4)
                                 : tail(0xcf, 8);
  return value >= -128        ? tail(0xd0, 1)
         : value >= -32768    ? tail(0xd1, 2)
         : value >= INT32_MIN ? tail(0xd2, 4)
                              : tail(0xd3, 8);
}

TEST(MsgPack, EveryIntegerComesBack) {
  rc::check([](int64_t value, uint8_t shift) {
    const int64_t sample = value >> (shift % 64);  // short ones, too
    const std::string text = packed(sample);
    MsgPackReader reader(text);
    const auto head = reader.read();
    RC_ASSERT(head.has_value() && head->type == Type::kInteger && reader.at_end());
    RC_ASSERT(static_cast<int64_t>(head->number) == sample);
    RC_ASSERT(head->real == static_cast<double>(sample));
  });
}

TEST(MsgPack, HeadsOfEveryKind) {
  const auto head = [](std::string_view text) { return MsgPackReader(text).read().value(); };
  EXPECT_EQ(head(bytes({0xc0})).type, Type::kNil);
  EXPECT_EQ(head(bytes({0xc3})).number, 1u);
  EXPECT_EQ(head(bytes({0xcf, 255, 255, 255, 255, 255, 255, 255, 255})).real, 18446744073709551615.0);
  EXPECT_EQ(head(bytes({0xca, 0x3f, 0xc0, 0, 0})).real, 1.5);
  EXPECT_EQ(head(bytes({0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0})).real, 1.5);
  EXPECT_EQ(head("\xa3"
                 "abc")
                .bytes,
            "abc");
  EXPECT_EQ(head(bytes({0xd9, 2}) + "ab").bytes, "ab");
  EXPECT_EQ(head(bytes({0xda, 0, 1}) + "a").bytes, "a");
  EXPECT_EQ(head(bytes({0xc4, 1}) + "x").type, Type::kBinary);
  EXPECT_EQ(head(bytes({0xd5, 7}) + "xy").bytes, "xy");
  EXPECT_EQ(head(bytes({0xc7, 1, 7}) + "z").bytes, "z");
  EXPECT_EQ(head(bytes({0xdc, 0, 1, 0})).number, 1u);
  EXPECT_EQ(head(bytes({0xde, 0, 1, 0, 0})).type, Type::kMap);
}

TEST(MsgPack, WhatCannotFitIsRefusedBeforeAnythingIsReserved) {
  for (const std::string& text : {bytes({}), bytes({0xc1}), bytes({0xcd, 1}), bytes({0xa3, 'a'}), bytes({0x92, 0}),
                                  bytes({0xdd, 255, 255, 255, 255}), bytes({0xdf, 0, 0, 0, 2, 0, 0, 0}),
                                  bytes({0xc6, 255, 255, 255, 255}), bytes({0xd4, 1})}) {
    EXPECT_FALSE(MsgPackReader(text).read_raw()) << text.size();
  }
}

TEST(MsgPack, ARawValueEndsWithAllThatIsInIt) {
  const std::string inner = bytes({0x92, 0x81, 0xa1, 'k', 0x90, 5});  // [{"k": []}, 5]
  const std::string text = inner + bytes({7});
  MsgPackReader reader(text);
  EXPECT_EQ(reader.read_raw().value(), inner);
  EXPECT_EQ(reader.read().value().number, 7u);
  const std::string deep = std::string(1'000'000, '\x91') + bytes({0});  // no stack is used for depth
  EXPECT_EQ(MsgPackReader(deep).read_raw().value().size(), deep.size());
}

}  // namespace
}  // namespace payonce::kv_events
