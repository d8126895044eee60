// KV events of an engine: any payload is read or refused, and what was read can be taken in and out again. The index
// never holds more than it may, nor counts tokens that it does not hold.
#include <string>
#include <vector>

#include "fuzz.h"
#include "kv_events/block_index.h"
#include "kv_events/msgpack.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace payonce::kv_events;
  const std::string_view bytes = payonce::fuzz::text(data, size);
  MsgPackReader reader(bytes);
  if (const auto raw = reader.read_raw()) PAYONCE_FUZZ_CHECK(bytes.starts_with(*raw) && !raw->empty());
  const auto batch = decode_batch(bytes);
  if (!batch) return 0;
  constexpr size_t kMaxBlocks = 8;
  BlockIndex index(kMaxBlocks);
  index.apply(*batch);
  index.apply(*batch);  // what is stored twice is held once
  const BlockIndex::State state = index.state();
  PAYONCE_FUZZ_CHECK(state.blocks <= kMaxBlocks && (state.blocks > 0 || state.tokens == 0));
  for (const Event& event : batch->events) {
    const auto* stored = std::get_if<BlockStored>(&event);
    if (stored == nullptr) continue;
    PAYONCE_FUZZ_CHECK(index.cached_tokens(stored->tokens, "m") <= stored->tokens.size());
    Batch out;
    out.events.emplace_back(BlockRemoved{.hashes = stored->hashes, .place = stored->place});
    index.apply(out);
  }
  index.apply({.events = {AllBlocksCleared()}});
  PAYONCE_FUZZ_CHECK(index.state().blocks == 0 && index.state().tokens == 0);
  return 0;
}
