// The store over files that were damaged behind its back: every block is the right one or a miss.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "base/log.h"
#include "kv/store_fixture.h"

namespace payonce::kv {
namespace {

namespace fs = std::filesystem;
constexpr int kBlocks = 24;

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void write(const fs::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}
size_t payload_of(int number) { return static_cast<size_t>(number * 797 % 9000); }

class KvCorruption : public testing::Test {
 protected:
  void SetUp() override { base::configure_log(base::LogLevel::kOff, base::LogFormat::kText); }
  void TearDown() override { base::configure_log(base::LogLevel::kInfo, base::LogFormat::kText); }

  static BlockStore::Options options() { return {.memory_bytes = 0, .disk_bytes = 8 << 20, .segment_bytes = 40'000}; }
  static void fill(StoreFixture& f) {
    for (int i = 0; i < kBlocks; ++i) {
      f.put(i, payload_of(i), i - 1);
      if (i == kBlocks / 2) f.reopen();
    }
    f.store->flush();
  }
  // How many are found; those are right.
  static int check(StoreFixture& f, const std::string& what) {
    int found = 0;
    for (int i = 0; i < kBlocks; ++i) {
      const BlockPtr block = f.get(i);
      if (!block) continue;
      ++found;
      EXPECT_TRUE(is_same(block, make_block(i, payload_of(i), i - 1))) << what << ", block " << i;
    }
    return found;
  }
};

TEST_F(KvCorruption, AChangedByteAnywhereCostsOneBlockAtMost) {
  StoreFixture f(options());
  fill(f);
  const fs::path path = f.segments().front();
  const std::string content = read(path);
  ASSERT_EQ(check(f, "undamaged"), kBlocks);
  // Each byte of the segment's header and of the first record's, and some between and behind.
  const auto step = [](size_t at) {
    const bool in_header = at < 2 * kAlignBytes && at % kAlignBytes < kRecordHeaderBytes + 8;
    return in_header ? size_t{1} : size_t{127};
  };
  for (size_t at = 0; at < content.size(); at += step(at)) {
    std::string damaged = content;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at % 8)));
    write(path, damaged);
    f.reopen();
    const int found = check(f, "byte " + std::to_string(at));
    EXPECT_GE(found, at < kAlignBytes ? 0 : kBlocks - 1) << at;
  }
}

TEST_F(KvCorruption, DamageOfAnyKindIsAMissBeforeAndAfterARestart) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const std::string what = "seed " + std::to_string(seed);
    std::mt19937_64 random(seed);
    StoreFixture f(options());
    fill(f);
    const std::vector<fs::path> files = f.segments();
    for (int hit = 0; hit < 3; ++hit) {
      const fs::path& path = files[random() % files.size()];
      std::string content = read(path);
      if (content.empty()) continue;
      const size_t at = random() % content.size();
      switch (random() % 5) {
        case 0: content[at] = static_cast<char>(content[at] ^ (1 << (random() % 8))); break;
        case 1:
          for (size_t i = at; i < std::min(content.size(), at + 512); ++i) content[i] = static_cast<char>(random());
          break;
        case 2: std::fill(content.begin() + static_cast<std::ptrdiff_t>(at), content.end(), '\0'); break;
        case 3: content.resize(at); break;
        default: {  // records of another segment, or of another place, land here
          const size_t from = at / kAlignBytes * kAlignBytes;
          const std::string other = read(files[random() % files.size()]);
          const size_t size = std::min<size_t>(8192, content.size() - from);
          content.replace(from, size, other.substr(random() % 3 * kAlignBytes % (other.size() + 1), size));
        }
      }
      write(path, content);
    }
    check(f, what);
    f.reopen();
    check(f, what);
    f.reopen();
    check(f, what);
  }
}

TEST_F(KvCorruption, SwappedSegmentsAreNotBelieved) {
  StoreFixture f(options());
  fill(f);
  const std::vector<fs::path> files = f.segments();
  ASSERT_GE(files.size(), 2u);
  const std::string first = read(files[0]);
  write(files[0], read(files[1]));
  write(files[1], first);
  EXPECT_LT(check(f, "swapped"), kBlocks);
  f.reopen();
  EXPECT_LT(check(f, "swapped"), kBlocks);
}

TEST_F(KvCorruption, ADamagedBlockIsCountedAndDroppedOnce) {
  StoreFixture f(options());
  f.put(1, 5000);
  f.put(2, 5000);
  f.store->flush();
  const fs::path path = f.segments().front();
  std::string content = read(path);
  content[kAlignBytes + kRecordHeaderBytes + 1000] ^= 1;
  write(path, content);
  EXPECT_EQ(f.where(1), Where::kDisk);
  EXPECT_EQ(f.store->get(hash_of(1)).error().code, base::Code::kCorrupt);
  EXPECT_EQ(f.where(1), Where::kNone);
  EXPECT_EQ(f.store->get(hash_of(1)).value(), nullptr) << "a plain miss from then on";
  EXPECT_EQ(f.store->stats().damaged, 1u);
  EXPECT_EQ(f.store->stats().misses, 2u);
  EXPECT_EQ(f.store->stats().disk.blocks, 1u);
  EXPECT_EQ(f.metrics.counter("payonce_kv_store_damaged_total").value(), 1);
  EXPECT_NE(f.get(2), nullptr);
  f.put(1, 5000);  // comes again, to the young end
  f.store->flush();
  EXPECT_TRUE(is_same(f.get(1), make_block(1, 5000)));
  f.reopen();
  EXPECT_TRUE(is_same(f.get(1), make_block(1, 5000))) << "the younger of the two";
}

TEST_F(KvCorruption, TheRecordsBehindADamagedHeaderAreFound) {
  StoreFixture f(options());
  for (int i = 0; i < 3; ++i) f.put(i, 5000);
  f.store->flush();
  const fs::path path = f.segments().front();
  std::string content = read(path);
  content[kAlignBytes + 100] ^= 1;
  write(path, content);
  f.reopen();
  EXPECT_EQ(f.where(0), Where::kNone);
  EXPECT_NE(f.get(1), nullptr);
  EXPECT_NE(f.get(2), nullptr);
  EXPECT_EQ(f.store->stats().damaged, 1u);
}

TEST_F(KvCorruption, ATornTailIsNoDamageAndTheRestIsThere) {
  StoreFixture f(options());
  for (int i = 0; i < 3; ++i) f.put(i, 5000);
  f.store->flush();
  const fs::path path = f.segments().front();
  const std::string content = read(path);
  for (const size_t kept : {kAlignBytes + 4 * kAlignBytes, kAlignBytes + 4 * kAlignBytes + 100, 6 * kAlignBytes}) {
    write(path, content.substr(0, kept));
    f.reopen();
    EXPECT_NE(f.get(0), nullptr);
    EXPECT_NE(f.get(1), nullptr);
    EXPECT_EQ(f.where(2), Where::kNone);
    EXPECT_EQ(f.store->stats().damaged, 0u);
  }
}

TEST_F(KvCorruption, APayloadThatLooksLikeARecordIsNotTakenForOne) {
  StoreFixture f(options());
  std::string forged;
  encode_record(make_block(7, 1000), 7, forged);  // whoever writes it does not know the segment's seed
  Block block = make_block(1);
  block.payload = base::Bytes(std::string(kAlignBytes - kRecordHeaderBytes, 'x') + forged);
  ASSERT_TRUE(f.store->put(block));
  f.put(2, 5000);
  f.store->flush();
  const fs::path path = f.segments().front();
  std::string content = read(path);
  content[kAlignBytes + 100] ^= 1;  // the scan now tries the boundary at which the forged record stands
  write(path, content);
  f.reopen();
  EXPECT_EQ(f.where(7), Where::kNone);
  EXPECT_NE(f.get(2), nullptr);
}

}  // namespace
}  // namespace payonce::kv
