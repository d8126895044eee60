// The store over files that were damaged behind its back: every answer is the right one or a miss.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "base/log.h"
#include "cache/response_log.h"
#include "cache/store_fixture.h"

namespace payonce::cache {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void write(const fs::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

class Corruption : public testing::Test {
 protected:
  void SetUp() override { base::configure_log(base::LogLevel::kOff, base::LogFormat::kText); }
  void TearDown() override { base::configure_log(base::LogLevel::kInfo, base::LogFormat::kText); }

  // Several runs, so that there are several segments.
  void fill(StoreFixture& f, uint64_t seed) {
    std::mt19937_64 random(seed);
    for (int run = 0; run < 4; ++run) {
      for (int i = 0; i < 30; ++i) {
        const std::string key = "k" + std::to_string(random() % 60);
        const size_t size = random() % 3000;
        std::string body = key + "=" + std::to_string(run) + "/" + std::to_string(i) + std::string(size, 'x');
        if (random() % 2) body += base::random_hex(size / 4);
        bodies_[key].push_back(body);
        f.store->insert(make_entry(key, body, f.clock));
      }
      if (run == 3) break;  // so that the last purge stands in a segment that may be damaged
      f.store->purge({.key = "k1*"});
      for (auto& [key, bodies] : bodies_) {
        if (key.starts_with("k1")) bodies.clear();
      }
      f.reopen();
    }
    f.reopen();
  }

  static std::vector<fs::path> segments(const StoreFixture& f) {
    std::vector<fs::path> out;
    for (const auto& file : fs::directory_iterator(f.directory.path() + "/responses")) {
      if (file.path().extension() == ".log") out.push_back(file.path());
    }
    std::sort(out.begin(), out.end());
    return out;
  }

  // A damaged newer record may let an older answer of the same key be served, never a purged or a foreign one.
  void check(StoreFixture& f, uint64_t seed) {
    for (int i = 0; i < 60; ++i) {
      const std::string key = "k" + std::to_string(i);
      const std::string body = f.body(key);
      const auto& known = bodies_[key];
      EXPECT_TRUE(body.empty() || std::find(known.begin(), known.end(), body) != known.end())
          << "seed " << seed << ", key " << key;
    }
  }

  std::map<std::string, std::vector<std::string>> bodies_;  // since the last purge
};

TEST_F(Corruption, DamageAnywhereIsAMissBeforeAndAfterARestart) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    bodies_.clear();
    StoreFixture f({.memory_bytes = 0});
    fill(f, seed);
    std::mt19937_64 random(seed * 7919);
    // The last segment is spared: a purge that nothing was written after is known from its own record alone.
    std::vector<fs::path> files = segments(f);
    ASSERT_GE(files.size(), 2u);
    files.pop_back();
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
        default: {  // a stretch of another file lands here
          const std::string other = read(files[random() % files.size()]);
          content.replace(at, std::min<size_t>(4096, content.size() - at), other.substr(0, 4096));
        }
      }
      write(path, content);
    }
    check(f, seed);
    f.reopen();
    check(f, seed);
  }
}

TEST_F(Corruption, SwappedSegmentsAreNotBelieved) {
  StoreFixture f({.memory_bytes = 0});
  fill(f, 1);
  const std::vector<fs::path> files = segments(f);
  ASSERT_GE(files.size(), 2u);
  const std::string first = read(files[0]);
  write(files[0], read(files[1]));
  write(files[1], first);
  check(f, 1);
  f.reopen();
  check(f, 1);
  EXPECT_GT(f.store->stats().faults, 0u);
}

TEST_F(Corruption, ADamagedRecordIsCountedAndDroppedOnce) {
  StoreFixture f({.memory_bytes = 0});
  f.store->insert(make_entry("a", base::random_hex(500), f.clock));
  f.store->insert(make_entry("b", "right", f.clock));
  f.store->flush();
  const fs::path path = segments(f).front();
  std::string content = read(path);
  content[kSegmentHeaderBytes + kRecordHeaderBytes + 300] ^= 1;  // in the value of a
  write(path, content);
  EXPECT_EQ(f.body("a"), "");
  EXPECT_EQ(f.store->find("a").reason, MissReason::kCold);
  EXPECT_EQ(f.body("b"), "right");
  EXPECT_EQ(f.metrics.counter("payonce_layer_faults_total", {{"layer", "exact"}}).value(), 1);
  EXPECT_EQ(f.metrics.counter("payonce_evictions_total", {{"layer", "exact"}, {"reason", "corrupt"}}).value(), 1);
}

TEST_F(Corruption, TheRecordsBehindADamagedHeaderAreFound) {
  StoreFixture f({.memory_bytes = 0});
  f.store->insert(make_entry("a", "one", f.clock));
  f.store->insert(make_entry("b", "two", f.clock));
  f.store->flush();
  const fs::path path = segments(f).front();
  std::string content = read(path);
  content[kSegmentHeaderBytes + 10] ^= 1;
  write(path, content);
  f.reopen();
  EXPECT_EQ(f.body("a"), "");
  EXPECT_EQ(f.body("b"), "two");
}

TEST_F(Corruption, ALostPurgeTakesAllThatIsOlderWithIt) {
  StoreFixture f({.memory_bytes = 0});
  f.store->insert(make_entry("gone", "purged", f.clock));
  f.store->insert(make_entry("old", "older than the purge", f.clock));
  f.store->flush();
  const auto at = static_cast<size_t>(fs::file_size(segments(f).front()));
  f.store->purge({.key = "gone"});
  f.store->insert(make_entry("new", "younger", f.clock));
  f.store->flush();
  const fs::path path = segments(f).front();
  std::string content = read(path);
  content[at + 20] ^= 1;  // in the purge record's header
  write(path, content);
  f.reopen();
  EXPECT_EQ(f.body("gone"), "");
  EXPECT_EQ(f.body("old"), "");
  EXPECT_EQ(f.body("new"), "younger");
}

TEST_F(Corruption, ABodyThatLooksLikeARecordIsNotTakenForOne) {
  StoreFixture f({.memory_bytes = 0});
  Codec codec;  // whoever writes it does not know the segment's seed
  const Codec::Stamp stamp{.sequence = 1ull << 50, .last_purge = 0, .seed = 0};
  const std::string forged = codec.encode_put(*make_entry("victim", "forged", f.clock), stamp).value();
  std::string noise(200, '\0');
  base::random_bytes(noise.data(), noise.size());
  f.store->insert(make_entry("a", noise + forged, f.clock));
  f.store->insert(make_entry("b", "two", f.clock));
  f.store->flush();
  const fs::path path = segments(f).front();
  std::string content = read(path);
  content[kSegmentHeaderBytes + 10] ^= 1;  // the scan now looks for the next record inside of a's value
  write(path, content);
  f.reopen();
  EXPECT_EQ(f.body("victim"), "");
  EXPECT_EQ(f.body("b"), "two");
}

}  // namespace
}  // namespace payonce::cache
