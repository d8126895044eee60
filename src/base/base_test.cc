#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <set>
#include <thread>

#include "base/ascii.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/env.h"
#include "base/find_any.h"
#include "base/hash.h"
#include "base/lru_map.h"
#include "base/metrics.h"
#include "base/raw_key_map.h"
#include "base/shared_library.h"
#include "base/worker_pool.h"

namespace payonce::base {
namespace {

TEST(Hash, Sha256MatchesTheNistVector) {  // FIPS 180-4, "abc"
  EXPECT_EQ(hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 incremental;
  incremental.update("a");
  incremental.update("bc");
  EXPECT_EQ(incremental.finish(), sha256("abc"));
}

TEST(Hash, KeyedHashSeparatesPartsAndProcesses) {
  const KeyedHash hash;
  EXPECT_FALSE(hash.parts<2>({"ab", "c"}) == hash.parts<2>({"a", "bc"}));
  EXPECT_TRUE(hash.parts<2>({"ab", "c"}) == hash.parts<2>({"ab", "c"}));
  EXPECT_FALSE(KeyedHash()("x") == KeyedHash()("x"));
}

TEST(Bytes, ASliceKeepsItsOwnerAlive) {
  Bytes part;
  {
    const Bytes whole = Bytes::copy(std::string(1000, 'a') + "tail");
    part = whole.slice(1000, 4);
  }
  EXPECT_EQ(part.view(), "tail");
}

TEST(Ascii, ClassesAreOfAsciiAloneWhateverTheByte) {
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    EXPECT_EQ(is_digit(c), byte >= '0' && byte <= '9') << byte;
    EXPECT_EQ(is_upper(c), byte >= 'A' && byte <= 'Z') << byte;
    EXPECT_EQ(is_lower(c), byte >= 'a' && byte <= 'z') << byte;
    EXPECT_EQ(is_utf8_letter(c), is_letter(c) || byte >= 0x80) << byte;
    EXPECT_EQ(hex_value(c) >= 0, is_digit(c) || std::string_view("abcdefABCDEF").find(c) != std::string_view::npos)
        << byte;
    EXPECT_EQ(lower(c) == c, !is_upper(c)) << byte;
  }
  EXPECT_EQ(hex_value('9') + hex_value('a') + hex_value('F'), 9 + 10 + 15);
  EXPECT_EQ(lowered("ÀB-c"), "Àb-c");
}

TEST(Ascii, TrimsAndDecodes) {
  EXPECT_EQ(trimmed(" \r\n a b\t"), "a b");
  EXPECT_EQ(trimmed(" \n "), "");
  EXPECT_EQ(trimmed("\n a ", " "), "\n a");
  EXPECT_EQ(percent_decoded("a%20b%2f%C3%A9"), "a b/é");
  EXPECT_EQ(percent_decoded("%%41%4%zz%"), "%A%4%zz%");
}

TEST(Assert, AFailureThrowsWithThePlace) { EXPECT_THROW(PAYONCE_ASSERT(1 == 2), AssertionFailed); }

TEST(WorkerPool, RefusesWhenFullAndRunsTheRest) {
  std::atomic<int> done{0};
  std::mutex gate;
  gate.lock();
  WorkerPool pool({.threads = 1, .queue_limit = 2});
  ASSERT_TRUE(pool.post([&] {
    const std::lock_guard hold(gate);
    ++done;
  }));
  while (pool.queued() != 0) std::this_thread::yield();
  EXPECT_TRUE(pool.post([&] { ++done; }));
  EXPECT_TRUE(pool.post([&] { ++done; }));
  EXPECT_FALSE(pool.post([&] { ++done; }));
  gate.unlock();
  pool.drain();
  EXPECT_EQ(done, 3);
}

TEST(Env, AtomicWriteReplacesTheWholeFile) {
  char name[] = "/tmp/payonce_base_XXXXXX";
  const std::string directory = ::mkdtemp(name);
  PosixEnv env;
  ASSERT_TRUE(env.make_directories(directory + "/a/b"));
  const std::string path = directory + "/a/b/file";
  ASSERT_TRUE(write_file_atomic(env, path, "first, and longer"));
  ASSERT_TRUE(write_file_atomic(env, path, "second"));
  EXPECT_EQ(read_file(env, path).value(), "second");
  EXPECT_EQ(read_file(env, path + "x").error().code, Code::kNotFound);
  EXPECT_EQ(env.list(directory + "/a/b").value(), std::vector<std::string>{"file"});
  std::filesystem::remove_all(directory);
}

TEST(Metrics, EachRowHasItsOwnNameAndCounts) {
  std::set<std::string_view> names;
  for (const MetricInfo& row : metric_table()) EXPECT_TRUE(names.insert(row.name).second) << row.name;
  Metrics metrics;
  metrics.counter("payonce_saved_usd_total", {{"layer", "exact"}}).add(0.5);
  EXPECT_NE(metrics.exposition().find("payonce_saved_usd_total{layer=\"exact\"} 0.5"), std::string::npos);
  EXPECT_THROW(metrics.counter("payonce_unknown_total"), AssertionFailed);
}

TEST(SharedLibrary, FindsWhatIsThereAndTellsWhatIsNot) {
  SharedLibrary c("libc.so.6");
  int (*absolute)(int) = c.find("abs");
  ASSERT_TRUE(c.fault());
  EXPECT_EQ(absolute(-3), 3);
  void (*nothing)() = c.find("payonce_no_such_function");
  EXPECT_EQ(nothing, nullptr);
  EXPECT_THAT(c.fault().error().message, testing::HasSubstr("payonce_no_such_function"));

  SharedLibrary absent("libpayonce-no-such.so.1");
  EXPECT_EQ(absent.find("abs"), static_cast<int (*)(int)>(nullptr));
  EXPECT_EQ(absent.fault().error().code, Code::kUnavailable);
  EXPECT_THAT(absent.fault().error().message, testing::HasSubstr("libpayonce-no-such.so.1"));
}

TEST(FindAny, FindsWhatFindFirstOfFinds) {
  const std::string text("ab\r\nc\0d\n", 8);
  const std::string_view wanted("\r\n\0", 3);
  for (size_t from = 0; from <= text.size() + 1; ++from)
    EXPECT_EQ((find_any<'\r', '\n', '\0'>(text, from)), text.find_first_of(wanted, from)) << from;
  EXPECT_EQ((find_any<'x', 'y'>(text)), std::string_view::npos);
  EXPECT_EQ((find_any<'x'>(std::string_view())), std::string_view::npos);
}

TEST(LruMap, HoldsItsWeightAlsoWhenWhatIsThereGrows) {
  const auto key = [](uint64_t n) { return Hash128{.low = n, .high = 0}; };
  LruMap<int> map(10);
  for (int i = 0; i < 4; ++i) map.insert(key(static_cast<uint64_t>(i)), i, 3);
  EXPECT_EQ(map.size(), 3u);  // the first went
  ASSERT_NE(map.find(key(1)), nullptr);
  map.weigh(key(1), 6);  // used latest: the one that was not used for longest goes
  EXPECT_EQ(map.peek(key(2)), nullptr);
  EXPECT_EQ(map.weight(), 9u);
  map.weigh(key(1), 1);
  EXPECT_EQ(map.weight(), 4u);
  map.weigh(key(3), 50);
  EXPECT_EQ(map.size(), 1u);  // a newer one stays, whatever it weighs
  EXPECT_NE(map.peek(key(1)), nullptr);
  map.weigh(key(9), 5);  // not there
  EXPECT_EQ(map.weight(), 1u);
}

TEST(RawKeyMap, IsBoundedAndKeepsWhatIsUsed) {
  RawKeyMap<int> map(160);
  const auto key = [](uint64_t n) { return Hash128{.low = n, .high = 0}; };  // one shard: 11 slots
  for (uint64_t i = 0; i < 11; ++i) map.insert(key(i), std::make_shared<const int>(static_cast<int>(i)));
  for (uint64_t i = 11; i < 21; ++i) {
    ASSERT_TRUE(map.find(key(0)));
    map.insert(key(i), std::make_shared<const int>(static_cast<int>(i)));
  }
  EXPECT_EQ(*map.find(key(0)), 0);
  size_t found = 0;
  for (uint64_t i = 0; i < 21; ++i) found += map.find(key(i)) ? 1 : 0;
  EXPECT_EQ(found, 11u);
}

}  // namespace
}  // namespace payonce::base
