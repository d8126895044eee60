// For this module's tests: a directory that goes away, blocks that can be told apart, and a store with its
// surroundings.
#pragma once

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/env.h"
#include "base/hash.h"
#include "base/metrics.h"
#include "base/temporary_directory.h"
#include "kv/block_store.h"

namespace payonce::kv {

using base::TemporaryDirectory;

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
inline bool is_same(const BlockPtr& a, const Block& b) {  // false for none
  return a && a->hash == b.hash && a->parent == b.parent && a->tokens == b.tokens &&
         a->payload.view() == b.payload.view();
}

// The real file system, but that appends take half and fail while it is `full`, and that nothing waits for the
// device, which would take most of the time of these tests.
class TestEnv final : public base::Env {
 public:
  std::atomic<bool> full{false};

  base::Result<std::unique_ptr<base::File>> open(const std::string& path, Mode mode) override {
    PAYONCE_TRY(auto file, real_.open(path, mode));
    return std::make_unique<TestFile>(*this, std::move(file));
  }
  base::Status make_directories(const std::string& path) override { return real_.make_directories(path); }
  base::Result<std::vector<std::string>> list(const std::string& path) const override { return real_.list(path); }
  base::Status remove(const std::string& path) override { return real_.remove(path); }
  base::Status rename(const std::string& from, const std::string& to) override { return real_.rename(from, to); }
  base::Status sync_directory(const std::string&) override { return {}; }
  bool exists(const std::string& path) const override { return real_.exists(path); }

 private:
  class TestFile final : public base::File {
   public:
    TestFile(const TestEnv& env, std::unique_ptr<base::File> real) : env_(env), real_(std::move(real)) {}
    base::Status append(std::string_view bytes) override {
      if (!env_.full) return real_->append(bytes);
      PAYONCE_CHECK_OK(real_->append(bytes.substr(0, bytes.size() / 2)));
      return base::fail(base::Code::kExhausted, "no space left on device");
    }
    base::Result<size_t> read_at(uint64_t offset, char* out, size_t size) const override {
      return real_->read_at(offset, out, size);
    }
    base::Result<uint64_t> size() const override { return real_->size(); }
    base::Status sync() override { return {}; }
    base::Status truncate(uint64_t size) override { return real_->truncate(size); }

   private:
    const TestEnv& env_;
    const std::unique_ptr<base::File> real_;
  };
  base::PosixEnv real_;
};

// reopen() is a clean restart.
struct StoreFixture {
  explicit StoreFixture(BlockStore::Options wanted = {}) : options(std::move(wanted)) {
    options.directory = directory.path() + "/kv";
    if (options.fingerprint.empty()) options.fingerprint = "model, f16";
    reopen();
  }
  void reopen() {
    store.reset();
    store = BlockStore::open(options, env, clock, metrics);
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
    for (const auto& path : segments()) {
      std::error_code gone;  // the writer may drop a segment meanwhile
      const auto size = std::filesystem::file_size(path, gone);
      if (!gone) sum += size;
    }
    return sum;
  }

  TemporaryDirectory directory;
  BlockStore::Options options;
  TestEnv env;
  base::FakeClock clock;
  base::Metrics metrics;
  std::unique_ptr<BlockStore> store;
};

}  // namespace payonce::kv
