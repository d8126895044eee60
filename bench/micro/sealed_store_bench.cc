// What encryption at rest costs the stores: the same work over plain files and over sealed ones. Memory hits touch no
// file. The figures are of files that the kernel has in memory: a real disk's time comes on top of both.
//
//   sealed_store_bench [--benchmark_…]      sealed:0 is the store without a key
#include <benchmark/benchmark.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/temporary_directory.h"
#include "base/worker_pool.h"
#include "cache/response_store.h"
#include "kv/block_store.h"
#include "seal/sealed_env.h"

namespace payonce::bench {
namespace {

using benchmark::State;

constexpr int kEntries = 2000;
constexpr int kBlocks = 128;
constexpr size_t kBlockBytes = 368'640;  // as in block_store_bench.cc

// A directory, and the files in it, plain or sealed.
struct Directory {
  explicit Directory(bool sealed) {
    if (!sealed) return;
    auto keys = seal::Keys::parse(std::string(64, 'b'), "bench").value();
    sealed_env = std::make_unique<seal::SealedEnv>(posix, root.path(), std::move(keys), metrics);
  }
  base::Env& files() { return sealed_env ? *sealed_env : posix; }

  base::TemporaryDirectory root;
  base::PosixEnv posix;
  base::SystemClock clock;
  base::Metrics metrics;
  std::unique_ptr<base::Env> sealed_env;
};

// Without a memory tier: every hit is one of the disk.
struct Answers {
  Answers(Directory& at, size_t body_bytes) : directory(at) {
    for (int i = 0; i < kEntries; ++i) {
      auto entry = std::make_shared<cache::Entry>();
      entry->key = "resp:v1:u-0123456789abcdef0123456789abcdef:" + std::to_string(i);
      entry->scope = "u-0123456789abcdef0123456789abcdef";
      entry->model = "m";
      entry->body = base::Bytes(base::random_hex(body_bytes / 2));
      entry->created_ms = directory.clock.unix_ms();
      entry->expires_ms = entry->created_ms + 3'600'000;
      entries.push_back(std::move(entry));
    }
    open();
  }
  void open() {
    store.reset();
    store = cache::ResponseStore::open(
        {.memory_bytes = 0, .directory = directory.root.path() + "/data", .disk_bytes = 4ull << 30},
        directory.files(), directory.clock, pool, directory.metrics);
    pool.drain();
  }
  void fill() {
    for (size_t i = 0; i < entries.size(); ++i) {
      store->insert(entries[i]);
      if (i % 200 == 199) store->write_out();
    }
    store->write_out();
  }

  Directory& directory;
  base::WorkerPool pool{{.threads = 1, .queue_limit = 4096}};
  std::vector<std::shared_ptr<cache::Entry>> entries;
  std::unique_ptr<cache::ResponseStore> store;
};

void disk_hit(State& state) {
  Directory directory(state.range(0) != 0);
  Answers answers(directory, static_cast<size_t>(state.range(1)));
  answers.fill();
  size_t next = 0;
  for (auto _ : state) {
    const auto entry = answers.store->load(answers.entries[next++ % kEntries]->key);
    if (!entry) state.SkipWithError("a miss");
    benchmark::DoNotOptimize(entry);
  }
}

void write(State& state) {
  Directory directory(state.range(0) != 0);
  Answers answers(directory, static_cast<size_t>(state.range(1)));
  for (auto _ : state) answers.fill();
  state.SetItemsProcessed(state.iterations() * kEntries);
}

void start(State& state) {
  Directory directory(state.range(0) != 0);
  Answers answers(directory, static_cast<size_t>(state.range(1)));
  answers.fill();
  answers.store->flush();
  for (auto _ : state) answers.open();
  state.SetItemsProcessed(state.iterations() * kEntries);
}

struct Blocks {
  explicit Blocks(Directory& directory) {
    store = kv::BlockStore::open({.memory_bytes = 0,
                                  .directory = directory.root.path() + "/data",
                                  .disk_bytes = 1ull << 30,
                                  .queue_bytes = 1u << 30},
                                 directory.files(), directory.clock, directory.metrics);
    for (int i = 0; i < kBlocks; ++i) {
      kv::Block block;
      block.tokens.assign(kv::kBlockTokens, i);
      block.parent = kv::root_hash("model", "layout");
      block.hash = kv::chain_hash(block.parent, "salt", block.tokens);
      block.payload = base::Bytes(base::random_hex(kBlockBytes / 2));
      hashes.push_back(block.hash);
      (void)store->put(std::move(block));
    }
    store->flush();
  }
  std::unique_ptr<kv::BlockStore> store;
  std::vector<kv::BlockHash> hashes;
};

void kv_load(State& state) {
  Directory directory(state.range(0) != 0);
  Blocks blocks(directory);
  size_t next = 0;
  for (auto _ : state) {
    const auto got = blocks.store->get(blocks.hashes[next++ % kBlocks]);
    benchmark::DoNotOptimize(got);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(kBlockBytes));
}

void by_size(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"sealed", "bytes"});
  for (const int64_t bytes : {1'000, 20'000, 200'000})
    for (const int64_t sealed : {0, 1}) bench->Args({sealed, bytes});
}
BENCHMARK(disk_hit)->Apply(by_size);
BENCHMARK(write)->Apply(by_size)->Unit(benchmark::kMillisecond);
BENCHMARK(start)->Apply(by_size)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();
BENCHMARK(kv_load)->ArgName("sealed")->Arg(0)->Arg(1)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace payonce::bench

int main(int argc, char** argv) {
  payonce::base::configure_log(payonce::base::LogLevel::kOff, payonce::base::LogFormat::kText);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
