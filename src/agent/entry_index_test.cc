#include "agent/entry_index.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

namespace payonce::agent {
namespace {

Entry sample() {
  return {.kind = Kind::kPlan,
          .key = "plan:v1:u-1:00",
          .credential = "u-1",
          .scope = "u-1",
          .scope_names = "user:ann",
          .versions = "kb=1",
          .tools_tag = "tools:v1:00",
          .run = "run \"7\"\n",
          .nonce = "01",
          .intent = "00ff",
          .names = "11",
          .parts = {{"task", "0011"}},
          .observed = {{{DependencyType::kFile, "/a b", ""}, "file:00"}},
          .input_tokens = 7,
          .output_tokens = 8,
          .cost_usd = 0.5,
          .created_ms = 1,
          .expires_ms = 2,
          .value_bytes = 9};
}

TEST(Entries, ComeBackFromTheStoreAsTheyWere) {
  const Entry entry = sample();
  const cache::EntryPtr stored = stored_form(entry, "{\"a\":\n1}");
  EXPECT_EQ(value_of(*stored).view(), "{\"a\":\n1}");
  const auto back = read_entry(*stored);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->run, entry.run);
  EXPECT_EQ(back->parts, entry.parts);
  ASSERT_EQ(back->observed.size(), 1u);
  EXPECT_EQ(back->observed[0].state, "file:00");
  EXPECT_EQ(back->id(), entry.id());
  EXPECT_EQ(back->value_bytes, 8u);
}

RC_GTEST_PROP(Entries, OthersBytesAreRefused, (const std::string& bytes)) {
  cache::Entry stored;
  stored.key = "plan:v1:u-1:00";
  stored.body = base::Bytes(bytes);
  (void)read_entry(stored);
  (void)value_of(stored);
}

// Against a plain set: entries come and go, and what is left is found, counted and grouped.
RC_GTEST_PROP(Index, HoldsWhatWasPutInAndNotTakenOut, (const std::vector<uint8_t>& steps)) {
  EntryIndex index(1u << 30);
  std::set<int> there;
  for (const uint8_t step : steps) {
    const int number = step % 16;
    Entry entry = sample();
    entry.key = std::to_string(number);
    entry.parts = {{"task", std::to_string(number % 4)}};
    entry.intent = std::to_string(number % 4);
    if (step < 160) {
      (void)index.insert(std::make_shared<Entry>(entry));
      there.insert(number);
    } else {
      RC_ASSERT(index.erase(entry.key) == (there.erase(number) > 0));
    }
  }
  RC_ASSERT(index.count(Kind::kPlan).entries == there.size());
  RC_ASSERT(index.count(Kind::kPlan).bytes == 9 * there.size());
  for (int number = 0; number < 16; ++number)
    RC_ASSERT((index.find(std::to_string(number)) != nullptr) == there.contains(number));
  RC_ASSERT(index.select("u-1", [](const Entry&) { return true; }).size() == there.size());
  for (int intent = 0; intent < 4; ++intent)  // perhaps the latest of it has gone, but never one that is not there
    if (const EntryPtr same = index.find_intent(std::to_string(intent)))
      RC_ASSERT(there.contains(std::stoi(same->key)));
  const Nearest nearest = index.nearest({.kind = Kind::kPlan, .parts = {{"task", {}}}}, {.credential_id = "u-1"});
  RC_ASSERT((nearest.entry != nullptr) == !there.empty());
}

}  // namespace
}  // namespace payonce::agent
