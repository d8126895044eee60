#include "kv/record.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <string>

#include "kv/segment.h"
#include "kv/store_fixture.h"

namespace payonce::kv {
namespace {

constexpr uint64_t kSeed = 0x0102030405060708;

std::string encoded(const Block& block, uint64_t seed = kSeed) {
  std::string out;
  encode_record(block, seed, out);
  return out;
}

bool is_read(std::string_view bytes, uint64_t seed = kSeed) {
  const auto header = decode_record_header(bytes, seed);
  return header && verify_record(*header, bytes.substr(0, header->record_bytes()), seed);
}

TEST(Record, EveryFieldStandsWhereTheFormatSays) {
  Block block = make_block(3, 5000, -1, 1234);
  block.tokens = {1, -2, 0x01020304};
  const std::string bytes = encoded(block);
  ASSERT_EQ(bytes.size(), 2 * kAlignBytes);
  EXPECT_EQ(bytes.substr(0, 8), std::string("PoK1\0\0\0\0", 8));
  EXPECT_EQ(bytes.substr(32, 8), std::string("\xd2\x04\0\0\0\0\0\0", 8));
  EXPECT_EQ(bytes.substr(40, 4), std::string("\x88\x13\0\0", 4));
  EXPECT_EQ(bytes.substr(44, 4), std::string("\x03\0\0\0", 4));
  EXPECT_EQ(base::hex(bytes.substr(48, 32)), base::hex(block.hash));
  EXPECT_EQ(base::hex(bytes.substr(80, 32)), base::hex(block.parent));
  EXPECT_EQ(bytes.substr(112, 16), std::string("\1\0\0\0\xfe\xff\xff\xff\4\3\2\1\0\0\0\0", 16));
  EXPECT_EQ(bytes.substr(128, 64), std::string(64, '\0'));
  EXPECT_EQ(bytes.substr(192, 5000), block.payload.view());
  EXPECT_EQ(bytes.substr(5192), std::string(bytes.size() - 5192, '\0'));
  // What XXH3 gave in version 1 of the format.
  EXPECT_EQ(base::hex(bytes.substr(8, 24)), "236338e435547b0711f3b508ca7f7e734eb0bab2045ca1d1");
}

TEST(Record, TheSegmentHeaderIsWhatItAlwaysWas) {
  const SegmentHeader header{.id = 42, .seed = kSeed, .fingerprint = base::sha256("f")};
  const std::string bytes = encode_segment_header(header);
  ASSERT_EQ(bytes.size(), kAlignBytes);
  EXPECT_EQ(base::hex(bytes.substr(0, kSegmentHeaderBytes)),
            "5041594b56424c312a000000000000000807060504030201"                  // magic, id, seed
            "252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111"  // fingerprint
            "675e16f634bbbb98");
  const auto back = decode_segment_header(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->id, 42u);
  EXPECT_EQ(back->seed, kSeed);
  EXPECT_EQ(back->fingerprint, header.fingerprint);
  for (size_t i = 0; i < kSegmentHeaderBytes; ++i) {
    std::string damaged = bytes;
    damaged[i] ^= 1;
    EXPECT_FALSE(decode_segment_header(damaged)) << i;
    EXPECT_FALSE(decode_segment_header(bytes.substr(0, i))) << i;
  }
}

RC_GTEST_PROP(Record, ComesBackAsItWas, (int64_t keep_until_ms, const std::string& payload)) {
  Block block = make_block(*rc::gen::inRange(0, 1000));
  block.tokens = *rc::gen::container<std::vector<int32_t>>(16, rc::gen::arbitrary<int32_t>());
  block.tokens.resize(*rc::gen::inRange<size_t>(1, 17));
  block.payload = base::Bytes(payload);
  block.keep_until_ms = keep_until_ms;
  const std::string bytes = encoded(block);
  RC_ASSERT(bytes.size() % kAlignBytes == 0);
  const auto header = decode_record_header(bytes, kSeed);
  RC_ASSERT(header.has_value());
  RC_ASSERT(header->stride_bytes() == bytes.size());
  RC_ASSERT(header->hash == block.hash && header->parent == block.parent);
  RC_ASSERT(std::vector<int32_t>(header->used_tokens().begin(), header->used_tokens().end()) == block.tokens);
  RC_ASSERT(header->keep_until_ms == keep_until_ms);
  RC_ASSERT(is_read(bytes));
  RC_ASSERT(bytes.substr(kRecordHeaderBytes, payload.size()) == payload);
}

TEST(Record, AChangedBitAnywhereIsNoticed) {
  const Block block = make_block(7, 300);
  const std::string bytes = encoded(block);
  ASSERT_TRUE(is_read(bytes));
  for (size_t i = 0; i < kRecordHeaderBytes + 300; ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      EXPECT_FALSE(is_read(damaged)) << i;
    }
  }
}

TEST(Record, OfAnotherSegmentIsNoRecordHere) { EXPECT_FALSE(is_read(encoded(make_block(1), 1), 2)); }

TEST(Record, CutShortIsNoRecord) {
  const std::string bytes = encoded(make_block(7, 300));
  for (size_t size = 0; size < kRecordHeaderBytes + 300; ++size) {
    const std::string_view cut = std::string_view(bytes).substr(0, size);
    const auto header = decode_record_header(cut, kSeed);
    EXPECT_FALSE(header && verify_record(*header, cut, kSeed)) << size;
  }
}

TEST(Segment, OnlyItsOwnNamesAreSegments) {
  EXPECT_EQ(Segment::file_name(42), "0000000042.kvb");
  EXPECT_EQ(Segment::id_of("0000000042.kvb"), 42u);
  for (const std::string name : {"lock", "42.kvb", "0000000042.log", "00000000x2.kvb", "0000000042.kvb.bak", ""})
    EXPECT_EQ(Segment::id_of(name), 0u) << name;
}

}  // namespace
}  // namespace payonce::kv
