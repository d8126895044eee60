// Gives sequences their blocks, finds blocks that hold what a sequence needs already, and keeps finished ones until
// their room is wanted. Everything about who shares which block is decided here.
//
// A block is *free* (holds nothing), *used* (in some sequence's table; refs counts the tables) or *cached* (in none,
// but findable). Full blocks are found by chain hash, and their tokens are compared: the hash decides nothing alone.
// Where a prompt leaves the known path inside a block, the longest common run of tokens is copied into a block of its
// own (copy-on-write), so reuse is exact to the token. A block that several sequences hold is never written; the
// writer gets a copy.
//
// Eviction is leaf-first: a block goes only after every block whose chain continues it, least recently used first,
// and marked blocks (cache_control) last while their time runs. Sliding-window layers have a pool of their own, whose
// blocks die behind the window; a prefix is usable where the last window's blocks of that pool are still there.
//
// Threads: one (the engine's).  Owner: Scheduler.  Errors: none; "no block" is a result that the scheduler handles.
// Source: Kwon et al. 2023 (PagedAttention), sections 4.3-4.5; design §7.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "engine/block_table.h"
#include "engine/model/batch.h"

namespace payonce::engine {

class BlockManager {
 public:
  struct Options {
    int32_t full_blocks = 0;
    int32_t sliding_blocks = 0;  // 0: no sliding layers
    int32_t window = 0;          // tokens
    kv::BlockHash root{};        // of every chain: model and layout
  };
  struct Block {  // of the full pool; the block's id is its index
    int32_t refs = 0;
    int32_t children = 0;  // indexed blocks whose chain continues this one
    int32_t count = 0;     // tokens that it holds
    std::array<int32_t, kBlockTokens> tokens{};
    kv::BlockHash parent{};    // chain hash before it
    kv::BlockHash hash{};      // its own, once it is full
    std::string salt;          // under which it is indexed
    kv::BlockHash siblings{};  // key of the list in which others find it
    int32_t previous_sibling = kNoBlock, next_sibling = kNoBlock;
    int32_t sliding = kNoBlock;  // the block of the sliding pool that holds the same tokens
    bool indexed = false;        // others can find it
    bool stored = false;         // the tier behind the pool has it
    uint64_t last_use = 0;
    int64_t keep_until_ms = 0;
  };
  struct Counts {
    int32_t free = 0, used = 0, cached = 0;
  };

  BlockManager(Options options, Executor& executor, const base::Clock& clock);

  // Lengthens `table` by blocks that are cached or in use elsewhere, up to `limit` tokens of the sequence; returns
  // how many tokens were found. Only where `table` ends at a block's edge.
  int32_t extend_from_cache(BlockTable& table, std::span<const int32_t> tokens, int32_t limit);
  // Room for the sequence's first `upto` tokens: new blocks, and a copy of the last one if others hold it, too.
  // False, and nothing changed for good, when the pool has no more.
  [[nodiscard]] bool reserve(BlockTable& table, int32_t upto);
  // tokens[computed, upto) are in their blocks now. Full blocks become findable, and a twin of one gives way to it.
  void commit(BlockTable& table, std::span<const int32_t> tokens, int32_t upto);
  BlockTable fork(const BlockTable& table);
  void release(BlockTable& table);  // leaves it empty; what it held stays cached
  // Keeps the blocks of the first `tokens` tokens until then. At most half of the pool is kept.
  void mark(const BlockTable& table, int32_t tokens, int64_t until_ms);

  // A block that comes back from the tier: findable afterwards. kNoBlock: no room, or its parent is not here.
  // `fill` writes the pages of both ids; the second is kNoBlock when the payload has no sliding part.
  int32_t adopt(const kv::BlockHash& parent, const std::string& salt, std::span<const int32_t> tokens,
                bool with_sliding, const std::function<void(int32_t full, int32_t sliding)>& fill);

  const kv::BlockHash& chain_hash(BlockTable& table, std::span<const int32_t> tokens, size_t block) const;
  // The chain hash before block `block`.
  const kv::BlockHash& chain_before(BlockTable& table, std::span<const int32_t> tokens, size_t block) const;

  const Block& block(int32_t id) const { return blocks_[static_cast<size_t>(id)]; }
  // Its chain hash; a partial block's, of the tokens that it holds.
  kv::BlockHash name_of(int32_t id) const;
  void set_stored(int32_t id) { at(id).stored = true; }
  // Called with a cached block just before it is evicted; it may be read, not kept.
  void on_evict(std::function<void(int32_t)> call) { on_evict_ = std::move(call); }

  Counts full_counts() const;
  Counts sliding_counts() const;
  int32_t available() const { return static_cast<int32_t>(free_.size()) + cached_; }
  int32_t sliding_available() const { return static_cast<int32_t>(sliding_free_.size() + sliding_evictable_.size()); }
  bool has_sliding() const { return options_.sliding_blocks > 0; }
  uint64_t evictions() const { return evictions_; }
  uint64_t sliding_evictions() const { return sliding_evictions_; }
  const Options& options() const { return options_; }
  void check() const;  // asserts every invariant; for tests

 private:
  struct Sliding {
    int32_t refs = 0;
    int32_t owner = kNoBlock;  // the full block that holds the same tokens, when that one is indexed
    uint64_t last_use = 0;
  };
  struct Found {
    std::vector<int32_t> blocks;  // whole ones, in order
    int32_t partial = kNoBlock;   // one whose first `partial_tokens` tokens continue them
    int32_t partial_tokens = 0;
  };

  // Where others look for blocks that continue `parent` under `salt`: the chain hash of no tokens, which no block
  // has.
  static kv::BlockHash sibling_key(const kv::BlockHash& parent, const std::string& salt);
  Block& at(int32_t id) { return blocks_[static_cast<size_t>(id)]; }
  Sliding& sliding_at(int32_t id) { return sliding_[static_cast<size_t>(id)]; }
  int32_t allocate();
  int32_t allocate_sliding();
  bool evict_one();
  void take(int32_t id);  // one more table holds it
  void drop(int32_t id);  // one fewer
  void take_sliding(int32_t id);
  void drop_sliding(int32_t id);
  void free_block(int32_t id);
  void free_sliding(int32_t id);
  void set_evictable(int32_t id);
  void unset_evictable(int32_t id);
  bool is_leaf(int32_t id) const;
  void link(int32_t id, const std::string& salt);
  void unlink(int32_t id);
  void count_child(const kv::BlockHash& parent, int32_t change);
  void seal(BlockTable& table, std::span<const int32_t> tokens, size_t index);
  bool give_way_to_twin(BlockTable& table, size_t index);
  void index_tail(BlockTable& table, std::span<const int32_t> tokens);
  bool is_covered_by_sibling(int32_t id) const;
  void evict_covered_siblings(int32_t id);
  void evict(int32_t id);
  Found find(BlockTable& table, std::span<const int32_t> tokens, int32_t limit, bool with_partial);
  void find_partial(BlockTable& table, std::span<const int32_t> tokens, int32_t limit, Found& found);
  void shorten_to_window(const BlockTable& table, Found& found) const;
  bool window_is_there(const BlockTable& table, const Found& found, int32_t tokens) const;
  bool copy_partial(BlockTable& table, int32_t from, int32_t tokens);
  int32_t copy_of(int32_t from, int32_t count, bool with_sliding);
  bool own_tail(BlockTable& table);
  bool append_block(BlockTable& table);
  void drop_last_block(BlockTable& table);
  void drop_behind_window(BlockTable& table);
  size_t first_block_in_window(int32_t tokens) const;

  const Options options_;
  Executor& executor_;
  const base::Clock& clock_;
  std::vector<Block> blocks_;
  std::vector<Sliding> sliding_;
  std::vector<int32_t> free_, sliding_free_;
  int32_t cached_ = 0;
  // Cached blocks without children: by last use, or by the end of their mark's time.
  std::set<std::pair<uint64_t, int32_t>> evictable_;
  std::set<std::pair<int64_t, int32_t>> kept_;
  std::set<std::pair<uint64_t, int32_t>> sliding_evictable_;
  std::unordered_map<kv::BlockHash, int32_t, kv::BlockHashHasher> by_hash_;        // full, indexed
  std::unordered_map<kv::BlockHash, int32_t, kv::BlockHashHasher> first_sibling_;  // newest first
  std::function<void(int32_t)> on_evict_;
  uint64_t tick_ = 0;
  uint64_t evictions_ = 0, sliding_evictions_ = 0;
};

}  // namespace payonce::engine
