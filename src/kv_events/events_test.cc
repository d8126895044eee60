#include "kv_events/events.h"

#include <gtest/gtest.h>

#include <charconv>
#include <string>

#include "kv_events/test_batches.h"

namespace payonce::kv_events {
namespace {

std::string from_hex(std::string_view hex) {
  std::string out(hex.size() / 2, '\0');
  for (size_t i = 0; i < out.size(); ++i) {
    uint8_t byte = 0;
    std::from_chars(hex.data() + 2 * i, hex.data() + 2 * i + 2, byte, 16);
    out[i] = static_cast<char>(byte);
  }
  return out;
}

// One batch each: two blocks that begin a prompt; one behind the second, under a LoRA adapter and a salt; the second
// removed; all cleared. Encoded on 2026-11-26 with msgspec 0.21 and the struct classes of the publishers' own
// sources: vllm/distributed/kv_events.py of vLLM 0.32.0 and 0.14.0, sglang/srt/disaggregation/kv_events.py of SGLang
// 0.5.23.
constexpr std::string_view kVllm =
    "93cb41daac4ee02000009489a474797065ab426c6f636b53746f726564ac626c6f636b5f68617368657392cf8000000000000005"
    "07b1706172656e745f626c6f636b5f68617368c0a9746f6b656e5f696473940102cd012cce00011170aa626c6f636b5f73697a65"
    "02a76c6f72615f6964c0a66d656469756da3475055a96c6f72615f6e616d65c0a967726f75705f696478008aa474797065ab426c"
    "6f636b53746f726564ac626c6f636b5f68617368657391c420010101010101010101010101010101010101010101010101010101"
    "0101010101b1706172656e745f626c6f636b5f6861736807a9746f6b656e5f696473920506aa626c6f636b5f73697a6502a76c6f"
    "72615f6964c0a66d656469756da3475055a96c6f72615f6e616d65a373716caa65787472615f6b6579739192a373716ca473616c"
    "74a967726f75705f6964780084a474797065ac426c6f636b52656d6f766564ac626c6f636b5f6861736865739107a66d65646975"
    "6da3475055a967726f75705f6964780081a474797065b0416c6c426c6f636b73436c6561726564c0";
constexpr std::string_view kOlderVllm =
    "93cb41daac4ee02000009498ab426c6f636b53746f72656492cf800000000000000507c0940102cd012cce0001117002c0a34750"
    "55c098ab426c6f636b53746f72656491c42001010101010101010101010101010101010101010101010101010101010101010792"
    "050602c0a3475055a373716c93ac426c6f636b52656d6f7665649107a347505591b0416c6c426c6f636b73436c6561726564c0";
constexpr std::string_view kSglang =
    "93cb41daac4ee02000009487a474797065ab426c6f636b53746f726564ac626c6f636b5f68617368657392fd07b1706172656e74"
    "5f626c6f636b5f68617368c0a9746f6b656e5f696473940102cd012cce00011170aa626c6f636b5f73697a6502a76c6f72615f69"
    "64c0a66d656469756da347505589a474797065ab426c6f636b53746f726564ac626c6f636b5f6861736865739109b1706172656e"
    "745f626c6f636b5f6861736807a9746f6b656e5f696473920506aa626c6f636b5f73697a6502a76c6f72615f6964c0a66d656469"
    "756da3475055aa63616368655f73616c74a473616c74a96c6f72615f6e616d65a373716c83a474797065ac426c6f636b52656d6f"
    "766564ac626c6f636b5f6861736865739107a66d656469756da347505581a474797065b0416c6c426c6f636b73436c6561726564"
    "c0";

TEST(KvEvents, EveryPublishersBatchIsRead) {
  for (const std::string_view hex : {kVllm, kOlderVllm, kSglang}) {
    const std::string payload = from_hex(hex);
    const auto batch = decode_batch(payload);
    ASSERT_TRUE(batch) << batch.error().message;
    EXPECT_EQ(batch->unix_s, 1790000000.5);
    ASSERT_EQ(batch->events.size(), 4u);
    const auto& first = std::get<BlockStored>(batch->events[0]);
    EXPECT_EQ(first.tokens, (std::vector<uint32_t>{1, 2, 300, 70000}));
    EXPECT_EQ(first.block_size, 2u);
    EXPECT_EQ(first.hashes.size(), 2u);
    EXPECT_EQ(first.parent, base::Hash128{});
    EXPECT_EQ(first.adapter, "");
    const auto& second = std::get<BlockStored>(batch->events[1]);
    EXPECT_EQ(second.parent, first.hashes[1]);
    EXPECT_NE(second.hashes[0], base::Hash128{});
    EXPECT_EQ(second.adapter, "sql");
    EXPECT_EQ(second.extras.size(), hex == kOlderVllm ? 0u : 1u);
    for (const std::string_view salt : second.extras) EXPECT_NE(salt, "");
    const auto& removed = std::get<BlockRemoved>(batch->events[2]);
    EXPECT_EQ(removed.hashes, std::vector{first.hashes[1]});
    EXPECT_EQ(removed.place, first.place);
    EXPECT_TRUE(std::holds_alternative<AllBlocksCleared>(batch->events[3]));
  }
}

TEST(KvEvents, OtherEventsAndMembersAreSkippedAndOtherShapesRefused) {
  // {"ts": 1, "events": [["New", 1], {"type": "Newer", "a": [1]}], "more": {}}
  const std::string tolerated =
      "\x83\xa2ts\x01\xa6"
      "events\x92\x92\xa3New\x01\x82\xa4type\xa5Newer\xa1"
      "a\x91\x01\xa4more\x80";
  const auto batch = decode_batch(tolerated);
  ASSERT_TRUE(batch) << batch.error().message;
  EXPECT_TRUE(batch->events.empty());
  for (const std::string_view broken : {"", "\x01", "\x92\x01\x02", "\x92\x01\x91\x91\x05",
                                        "\x92\x01\x91\x91\xac"
                                        "BlockRemoved"})
    EXPECT_EQ(decode_batch(broken).error().code, base::Code::kCorrupt);
}

TEST(KvEvents, EveryCutOfABatchIsAnError) {
  const std::string payload = from_hex(kVllm);
  for (size_t size = 0; size + 1 < payload.size(); ++size)
    EXPECT_FALSE(decode_batch(std::string_view(payload).substr(0, size))) << size;
}

TEST(KvEvents, LayersThatKeepNoWholePrefixAreLeftOut) {
  test::Stored stored{.hashes = {1}, .tokens = {1, 2}, .block_size = 2};
  stored.kind = "sliding_window";
  const std::string window = test::batch({test::encoded(stored)});
  stored.kind = "full_attention";
  const std::string full = test::batch({test::encoded(stored)});
  EXPECT_TRUE(decode_batch(window).value().events.empty());
  EXPECT_EQ(decode_batch(full).value().events.size(), 1u);
}

TEST(KvEvents, AnAdapterThatIsTheOnlyExtraKeyIsNoExtra) {
  const test::Stored stored{.hashes = {1}, .tokens = {1, 2}, .block_size = 2, .adapter = "sql", .extra = {"sql"}};
  const std::string payload = test::batch({test::encoded(stored)});
  const Batch batch = decode_batch(payload).value();
  EXPECT_EQ(std::get<BlockStored>(batch.events[0]).extras, std::vector<std::string_view>{""});
}

}  // namespace
}  // namespace payonce::kv_events
