// For this module's tests: a directory that goes away, blocks that can be told apart, and a store with its
// surroundings.
#pragma once

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/env.h"
#include "base/hash.h"
#include "base/metrics.h"
#include "kv/block_store.h"

namespace payonce::kv {

class TemporaryDirectory {
 public:
  TemporaryDirectory()
      : path_((std::filesystem::temp_directory_path() / ("payonce-kv-" + base::random_hex(8))).string()) {
    std::filesystem::create_directories(path_);
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

// Block `number` has the same bytes whenever it is made: a payload of `payload_bytes` that no other block shares. It
// hangs on block `parent`; -1: on the root.
inline BlockHash hash_of(int number) {
  const std::vector<int32_t> tokens = {number};
  return chain_hash(root_hash("model", "layout"), "salt", tokens);
}
inline Block make_block(int number, size_t payload_bytes = 1000, int parent = -1, int64_t keep_until_ms = 0) {
  Block block;
  block.hash = hash_of(number);
  block.parent = parent < 0 ? root_hash("model", "layout") : hash_of(parent);
  block.tokens.assign(static_cast<size_t>(1 + number % kBlockTokens), number);
  std::string payload = std::to_string(number);
  payload.resize(payload_bytes, static_cast<char>('a' + number % 26));
  block.payload = base::Bytes(std::move(payload));
  block.keep_until_ms = keep_until_ms;
  return block;
}
inline bool is_same(const Block& a, const Block& b) {
  return a.hash == b.hash && a.parent == b.parent && a.tokens == b.tokens && a.payload.view() == b.payload.view();
}

// reopen() is a clean restart.
struct StoreFixture {
  explicit StoreFixture(BlockStore::Options wanted = {}) : options(std::move(wanted)) {
    options.directory = directory.path() + "/kv";
    if (options.fingerprint.empty()) options.fingerprint = "model, f16";
    reopen();
  }
  void reopen(base::Env* other = nullptr) {
    store.reset();
    store = BlockStore::open(options, other ? *other : env, clock, metrics);
  }
  void put(int number, size_t payload_bytes = 1000, int parent = -1, int64_t keep_until_ms = 0) {
    (void)store->put(make_block(number, payload_bytes, parent, keep_until_ms));
  }
  BlockPtr get(int number) { return store->get(hash_of(number)).value_or(nullptr); }
  Where where(int number) const { return store->where(hash_of(number)); }
  std::vector<std::filesystem::path> segments() const {
    std::vector<std::filesystem::path> out;
    for (const auto& file : std::filesystem::directory_iterator(options.directory)) {
      if (file.path().extension() == ".kvb") out.push_back(file.path());
    }
    std::sort(out.begin(), out.end());
    return out;
  }
  uint64_t file_bytes() const {
    uint64_t sum = 0;
    for (const auto& path : segments()) sum += std::filesystem::file_size(path);
    return sum;
  }

  TemporaryDirectory directory;
  BlockStore::Options options;
  base::PosixEnv env;
  base::FakeClock clock;
  base::Metrics metrics;
  std::unique_ptr<BlockStore> store;
};

}  // namespace payonce::kv
