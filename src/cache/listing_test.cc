// Listings page by page: every entry once, in order, whichever tier holds it, and without copying them all.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>

#include "cache/store_fixture.h"

namespace payonce::cache {
namespace {

// Not the clock on the wall: a busy machine stretches that (2 s for 25 rows, once in six runs beside builds).
double thread_cpu_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

std::vector<std::string> all_pages(ResponseStore& store, const PurgeFilter& filter, size_t limit) {
  std::vector<std::string> keys;
  std::optional<ListPosition> after;
  while (true) {
    const std::vector<EntryInfo> page = store.list(filter, limit, after);
    EXPECT_LE(page.size(), limit);
    for (const EntryInfo& info : page) keys.push_back(info.key);
    if (page.size() < limit) return keys;
    after = ListPosition{.created_ms = page.back().created_ms, .key = page.back().key};
  }
}

TEST(Listing, PagesHoldEveryEntryOnceFromNewToOld) {
  StoreFixture f;
  std::vector<std::string> expected;
  for (int i = 0; i < 100; ++i) {
    if (i % 7 == 0) f.clock.advance_ms(1);  // many are as old as each other: then by key
    f.store->insert(make_entry(fmt::format("k{:03}", i), "body", f.clock));
  }
  f.store->flush();
  f.reopen();
  for (int i = 0; i < 100; i += 3) (void)f.get(fmt::format("k{:03}", i));  // some in memory as well
  for (const EntryInfo& info : f.store->list({}, 1000)) expected.push_back(info.key);
  ASSERT_EQ(expected.size(), 100u);
  EXPECT_EQ(expected.front(), "k098");
  for (const size_t limit : {1u, 7u, 50u, 100u}) EXPECT_EQ(all_pages(*f.store, {}, limit), expected) << limit;
}

TEST(Listing, PagesKeepToTheFilter) {
  StoreFixture f;
  for (int i = 0; i < 40; ++i) {
    f.clock.advance_ms(1);
    auto entry = make_entry(fmt::format("k{:03}", i), "body", f.clock);
    entry->scope = i % 2 == 0 ? "u-1" : "u-2";
    f.store->insert(std::move(entry));
  }
  const std::vector<std::string> keys = all_pages(*f.store, {.scope = "u-2"}, 3);
  EXPECT_EQ(keys.size(), 20u);
  EXPECT_EQ(keys.front(), "k039");
  EXPECT_EQ(keys.back(), "k001");
}

TEST(Listing, APageMayBeginWhereNothingIsAnyMore) {
  StoreFixture f;
  for (const char* key : {"a", "b", "c"}) {
    f.clock.advance_ms(1);
    f.store->insert(make_entry(key, "body", f.clock));
  }
  const EntryInfo newest = f.store->list({}, 1).front();
  EXPECT_TRUE(f.store->erase(newest.key));
  const auto next = f.store->list({}, 10, ListPosition{.created_ms = newest.created_ms, .key = newest.key});
  ASSERT_EQ(next.size(), 2u);
  EXPECT_EQ(next.front().key, "b");
  EXPECT_TRUE(f.store->list({}, 0).empty());
}

TEST(Listing, APageOfAHundredThousandTakesMilliseconds) {
  StoreFixture f({.memory_bytes = 512u << 20});
  for (int i = 0; i < 100'000; ++i) {
    if (i % 16 == 0) f.clock.advance_ms(1);
    f.store->insert(make_entry(fmt::format("{:016x}", static_cast<uint64_t>(i) * 0x9E3779B97F4A7C15), "b", f.clock));
  }
  ASSERT_EQ(f.store->stats().memory_entries, 100'000u);
  const double started_ms = thread_cpu_ms();
  EXPECT_EQ(f.store->list({}, 25).size(), 25u);
  const double took_ms = thread_cpu_ms() - started_ms;
  RecordProperty("milliseconds", fmt::format("{:.1f}", took_ms));
  EXPECT_LT(took_ms, 2000) << "a page copies little more than it shows";
}

}  // namespace
}  // namespace payonce::cache
