#include "cache/record.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <string>

#include "cache/store_fixture.h"

namespace payonce::cache {
namespace {

constexpr uint64_t kSeed = 77;
const base::FakeClock kClock;

base::Result<EntryPtr> decode(const std::string& bytes) { return Codec::decode_put(bytes, "key", 5, kSeed); }

std::string encode(const Entry& entry) {
  Codec codec;
  return codec.encode_put(entry, {.sequence = 5, .last_purge = 4, .seed = kSeed}).value();
}

// The layout of docs/formats/response-log.md, byte for byte: a change of either fails here.
TEST(Record, TheHeaderStandsAsDocumented) {
  auto entry = make_entry("key", "ab", kClock);
  entry->pace_ms.clear();
  entry->pace_offset.clear();
  entry->created_ms = 0x0102;
  entry->expires_ms = 0x0304;
  const std::string bytes = encode(*entry);
  EXPECT_EQ(base::hex(bytes.substr(0, 56)),
            "506f5231"
            "01"
            "00"
            "0000"              // magic "PoR1", put, not compressed, reserved
            "0500000000000000"  // sequence
            "0400000000000000"  // last purge
            "0201000000000000"  // created
            "0403000000000000"  // expires
            "03000000"
            "6a000000"  // sizes: key, meta
            "02000000"
            "02000000");  // value as stored, raw
  EXPECT_EQ(bytes.substr(88, 3), "key");
  EXPECT_EQ(base::hex(bytes.substr(91, 12)),
            "03000d000500"
            "1100"
            "05"
            "01"
            "03"
            "00");
  EXPECT_EQ(bytes.substr(bytes.size() - 2), "ab");
  EXPECT_EQ(bytes.size(), 88u + 3 + 0x6a + 2);
}

TEST(Record, AnyEntryComesBack) {
  const bool ok = rc::check([](const std::string& body, const std::string& text, bool flag) {
    auto entry = make_entry("key", body, kClock);
    entry->scope = text;
    entry->versions = text + "v";
    entry->model = "m" + text;
    entry->include_usage = flag;
    entry->usage.known = !flag;
    entry->form = flag ? llm::Form::kJson : llm::Form::kStream;
    const auto got = decode(encode(*entry));
    RC_ASSERT(got.has_value());
    RC_ASSERT((*got)->body.view() == body);
    RC_ASSERT((*got)->scope == entry->scope);
    RC_ASSERT((*got)->versions == entry->versions);
    RC_ASSERT((*got)->model == entry->model);
    RC_ASSERT((*got)->include_usage == flag);
    RC_ASSERT((*got)->usage.known == !flag);
    RC_ASSERT((*got)->form == entry->form);
    RC_ASSERT((*got)->pace_ms == entry->pace_ms);
    RC_ASSERT((*got)->pace_offset == entry->pace_offset);
  });
  EXPECT_TRUE(ok);
}

TEST(Record, ALargeBodyIsCompressedAndARandomOneIsNot) {
  EXPECT_LT(encode(*make_entry("key", std::string(100'000, 'x'), kClock)).size(), 1000u);
  std::string random(1000, '\0');
  base::random_bytes(random.data(), random.size());
  const std::string bytes = encode(*make_entry("key", random, kClock));
  EXPECT_NE(bytes.find(random), std::string::npos);
  EXPECT_EQ((*decode(bytes))->body.view(), random);
}

TEST(Record, EveryFlippedBitIsNoticed) {
  for (const std::string& body : {std::string("ab"), std::string(500, 'x')}) {
    const std::string bytes = encode(*make_entry("key", body, kClock));
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      std::string damaged = bytes;
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
      EXPECT_FALSE(decode(damaged).has_value()) << "bit " << bit;
    }
  }
}

TEST(Record, EveryTruncationAndExtensionIsNoticed) {
  const std::string bytes = encode(*make_entry("key", "ab", kClock));
  for (size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(decode(bytes.substr(0, size)).has_value());
  EXPECT_FALSE(decode(bytes + "x").has_value());
}

TEST(Record, ARecordOfAnotherKeySequenceOrSegmentIsNotAccepted) {
  const std::string bytes = encode(*make_entry("key", "ab", kClock));
  EXPECT_TRUE(Codec::decode_put(bytes, "key", 5, kSeed).has_value());
  EXPECT_FALSE(Codec::decode_put(bytes, "kez", 5, kSeed).has_value());
  EXPECT_FALSE(Codec::decode_put(bytes, "key", 6, kSeed).has_value());
  EXPECT_FALSE(Codec::decode_put(bytes, "key", 5, kSeed + 1).has_value());
}

TEST(Record, AnEntryWithAPartOverItsLimitIsNotForTheDisk) {
  Codec codec;
  auto entry = make_entry(std::string(kMaxKeyBytes + 1, 'k'), "x", kClock);
  EXPECT_EQ(codec.encode_put(*entry, {}), std::nullopt);
  entry = make_entry("k", "x", kClock);
  entry->model.assign(70'000, 'm');
  EXPECT_EQ(codec.encode_put(*entry, {}), std::nullopt);
  entry = make_entry("k", "x", kClock);
  entry->pace_ms.push_back(1);
  EXPECT_EQ(codec.encode_put(*entry, {}), std::nullopt);
}

TEST(Record, APurgeComesBack) {
  Purge purge;
  purge.key = "resp:v1:u-1:*";
  purge.scope = "u-1";
  purge.version = "kb=7";
  purge.model = "m";
  purge.created_until_ms = -5;
  const std::string bytes = Codec::encode_purge(purge, {.sequence = 9, .last_purge = 8, .seed = kSeed}).value();
  const auto header = decode_record_header(bytes, kSeed);
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->type, RecordType::kPurge);
  const auto got = decode_purge(*header, std::string_view(bytes).substr(kRecordHeaderBytes), kSeed);
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(got->key, purge.key);
  EXPECT_EQ(got->scope, purge.scope);
  EXPECT_EQ(got->version, purge.version);
  EXPECT_EQ(got->model, purge.model);
  EXPECT_EQ(got->created_until_ms, -5);
  EXPECT_EQ(got->sequence, 9u);
}

TEST(Record, RandomBytesNeverDecode) {
  const bool ok = rc::check([](const std::string& bytes) {
    RC_ASSERT(!decode(std::string(kRecordMagic) + bytes).has_value());
    RC_ASSERT(!decode_segment_header(bytes).has_value());
  });
  EXPECT_TRUE(ok);
}

}  // namespace
}  // namespace payonce::cache
