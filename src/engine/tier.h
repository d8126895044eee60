// The way between the pool and the tier behind it (kv::BlockStore: memory and disk). Blocks of finished prefixes go
// there in idle moments and before they are evicted; they come back when loading them is quicker than computing them,
// by the costs of both as measured while running.
//
// A block's payload is its pages of the full pool, then those of the sliding pool if it still had them, behind one
// byte that says so. A partial block is stored, too, under the hash of its tokens.
//
// Threads: one (the engine's); reads run on one thread of its own, which calls `wake` when something came.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/block_manager.h"
#include "engine/sequence.h"
#include "kv/block_store.h"

namespace payonce::engine {

class Tier {
 public:
  Tier(kv::BlockStore& store, Executor& executor, std::function<void()> wake);
  ~Tier();

  // Starts to bring what the tier has of the sequence's next tokens. False: nothing there, or computing it is
  // quicker, or too much is under way.
  bool begin_load(Sequence& sequence, BlockManager& blocks);
  // Puts what came into the pool; ids of the sequences whose loads have ended, well or not.
  std::vector<uint64_t> receive(BlockManager& blocks);
  bool is_loading() const { return loads_under_way_ > 0; }

  void wanted(const BlockTable& table, BlockManager& blocks);  // these blocks are worth keeping
  // A prompt's last, partial block as it is now: the sequence goes on to grow it, but another run of the same prompt
  // wants it like this.
  void store_tail(const BlockTable& table, BlockManager& blocks);
  bool store_some(BlockManager& blocks);                // a few of those wanted; false: none left
  void store_all(BlockManager& blocks);                 // before the end
  void store(BlockManager& blocks, int32_t id);         // one that is about to be evicted
  void prefilled(int32_t tokens, int64_t duration_us);  // what computing costs

 private:
  struct Wanted {
    kv::BlockHash hash, parent;
    std::string salt;
    std::vector<int32_t> tokens;
    kv::Where where;
  };
  struct Load {
    uint64_t sequence = 0;
    std::vector<Wanted> blocks;
    std::vector<kv::BlockPtr> came;  // the first so many of them
  };
  void read_loads();
  std::vector<Wanted> there(Sequence& sequence, BlockManager& blocks) const;
  bool loading_pays(const std::vector<Wanted>& wanted) const;
  size_t payload_bytes(bool with_sliding) const;

  kv::BlockStore& store_;
  Executor& executor_;
  const std::function<void()> wake_;
  std::deque<int32_t> to_store_;  // ids; one that is gone by then is passed over
  double prefill_us_per_token_ = 0;
  int32_t loads_under_way_ = 0;

  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<Load> asked_;  // guarded by mutex_
  std::deque<Load> came_;   // guarded by mutex_
  bool stopping_ = false;   // guarded by mutex_
  std::thread reader_;
};

}  // namespace payonce::engine
