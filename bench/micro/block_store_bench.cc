// What the KV block store costs: the hash of a block, where(), and put and get of a block's payload in memory and on
// disk. The disk's figures are of files that the kernel has in memory, unless the directory is larger than that.
//
//   block_store_bench [DIRECTORY] [--benchmark_…]      a directory that is made, and emptied again; default: a
//   temporary
#include <benchmark/benchmark.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "kv/block_store.h"

namespace payonce::bench {
namespace {

using benchmark::State;

constexpr size_t kPayloadBytes =
    368'640;                  // 16 tokens of SmolLM2-135M: 30 layers, 3 heads of 64, keys and values in F16
constexpr int kBlocks = 256;  // 94 MB

std::string directory;

kv::Block block_of(int number) {
  kv::Block block;
  block.tokens.assign(kv::kBlockTokens, number);
  block.parent = kv::root_hash("model", "layout");
  block.hash = kv::chain_hash(block.parent, "salt", block.tokens);
  std::string payload(kPayloadBytes, '\0');
  base::random_bytes(payload.data(), 4096);
  block.payload = base::Bytes(std::move(payload));
  return block;
}

const std::vector<kv::Block>& blocks() {
  static const std::vector<kv::Block> kAll = [] {
    std::vector<kv::Block> all;
    for (int i = 0; i < kBlocks; ++i) all.push_back(block_of(i));
    return all;
  }();
  return kAll;
}

struct Store {
  explicit Store(uint64_t memory_bytes, uint64_t disk_bytes, bool fill) {
    std::filesystem::remove_all(directory);
    store = kv::BlockStore::open({.memory_bytes = memory_bytes,
                                  .directory = disk_bytes > 0 ? directory : std::string(),
                                  .disk_bytes = disk_bytes,
                                  .queue_bytes = 1u << 30},
                                 env, clock, metrics);
    if (!fill) return;
    for (const kv::Block& block : blocks()) (void)store->put(block);
    store->flush();
  }
  ~Store() {
    store.reset();
    std::filesystem::remove_all(directory);
  }
  base::PosixEnv env;
  base::SystemClock clock;
  base::Metrics metrics;
  std::unique_ptr<kv::BlockStore> store;
};

void count_bytes(State& state) {
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * static_cast<int64_t>(kPayloadBytes));
}

void chain_hash(State& state) {
  const std::string salt(32, 's');
  std::vector<int32_t> tokens(kv::kBlockTokens, 7);
  kv::BlockHash hash = kv::root_hash("model", "layout");
  for (auto _ : state) hash = kv::chain_hash(hash, salt, tokens);
  benchmark::DoNotOptimize(hash);
}

void where(State& state, kv::Where tier) {
  Store at(tier == kv::Where::kMemory ? 1u << 30 : 0, 1u << 30, tier != kv::Where::kNone);
  const std::vector<kv::Block>& all = blocks();  // made before the clock runs
  size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(at.store->where(all[++i % kBlocks].hash));
}

// Into a tier of memory that is always full: each put evicts one.
void put_memory(State& state) {
  Store at(uint64_t{kBlocks} / 2 * kPayloadBytes, 0, false);
  const std::vector<kv::Block>& all = blocks();
  size_t i = 0;
  for (auto _ : state) (void)at.store->put(all[++i % kBlocks]);
  count_bytes(state);
}

// What the writer does: room, checksum, append; without waiting for the device.
void put_disk(State& state) {
  Store at(0, uint64_t{kBlocks} * kPayloadBytes, false);
  const std::vector<kv::Block>& all = blocks();
  size_t i = 0;
  for (auto _ : state) {
    (void)at.store->put(all[++i % kBlocks]);
    if (i % 64 == 0) at.store->flush();
  }
  at.store->flush();
  count_bytes(state);
  if (at.store->stats().dropped_writes > 0) state.SkipWithError("writes were dropped");
}

// Includes the copy that a reader makes.
void get(State& state, bool memory) {
  Store at(memory ? 1u << 30 : 0, 1u << 30, true);
  std::vector<char> pool(kPayloadBytes);
  size_t i = 0;
  for (auto _ : state) {
    const auto block = at.store->get(blocks()[++i % kBlocks].hash);
    if (!block || !*block) return state.SkipWithError("a miss");
    std::memcpy(pool.data(), (*block)->payload.data(), kPayloadBytes);
    benchmark::DoNotOptimize(pool.data());
  }
  count_bytes(state);
  const kv::ReadCost cost = at.store->read_cost(memory ? kv::Where::kMemory : kv::Where::kDisk);
  state.counters["measured_GB/s"] = cost.bytes_per_second / 1e9;
  state.counters["measured_latency_us"] = cost.latency_us;
}

// Start with so many blocks on disk.
void open(State& state) {
  Store at(0, 1u << 30, true);
  for (auto _ : state) {
    at.store.reset();
    at.store = kv::BlockStore::open({.memory_bytes = 0, .directory = directory, .disk_bytes = 1u << 30}, at.env,
                                    at.clock, at.metrics);
  }
  if (at.store->stats().disk.blocks != kBlocks) state.SkipWithError("blocks are missing");
}

}  // namespace
}  // namespace payonce::bench

int main(int argc, char** argv) {
  using namespace payonce::bench;
  payonce::base::configure_log(payonce::base::LogLevel::kWarn, payonce::base::LogFormat::kText);
  benchmark::Initialize(&argc, argv);
  const std::string temporary =
      std::filesystem::temp_directory_path() / ("payonce-bench-" + payonce::base::random_hex(8));
  directory = (argc > 1 ? std::string(argv[1]) : temporary) + "/kv";
  benchmark::RegisterBenchmark("chain_hash", chain_hash);
  benchmark::RegisterBenchmark("where/none", where, payonce::kv::Where::kNone);
  benchmark::RegisterBenchmark("where/memory", where, payonce::kv::Where::kMemory);
  benchmark::RegisterBenchmark("where/disk", where, payonce::kv::Where::kDisk);
  benchmark::RegisterBenchmark("put/memory", put_memory);
  benchmark::RegisterBenchmark("put/disk", put_disk)->UseRealTime();
  benchmark::RegisterBenchmark("get/memory", get, true);
  benchmark::RegisterBenchmark("get/disk", get, false);
  benchmark::RegisterBenchmark("open/256_blocks", open);
  benchmark::RunSpecifiedBenchmarks();
}
