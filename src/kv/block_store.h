#pragma once
#include "base/clock.h"
#include "base/env.h"
#include "base/metrics.h"
#include "kv/block_hash.h"
#include <memory>
#include <string>
#include <vector>
namespace payonce::kv {
struct StoredBlock { BlockHash hash, parent; std::vector<int32_t> tokens; std::string payload; int64_t keep_until_ms = 0; };
enum class Where : uint8_t { kNone, kMemory, kDisk };
struct ReadCost { double latency_us = 0; double bytes_per_us = 0; };
class BlockStore {
 public:
  Where where(const BlockHash&) const;
  void put(StoredBlock block);
  std::shared_ptr<const StoredBlock> get(const BlockHash&);
  ReadCost read_cost(Where) const;
  void flush();
};
}
