// For tests: batches in MessagePack, as vLLM 0.32 encodes them.  Threads: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace payonce::kv_events::test {

inline std::string number(uint64_t value) {
  std::string out = "\xcf";
  for (int i = 7; i >= 0; --i) out.push_back(static_cast<char>(value >> (8 * i)));
  return out;
}
inline std::string text(std::string_view value) {
  return "\xd9" + std::string(1, static_cast<char>(value.size())) + std::string(value);
}
inline std::string sized(char tag, size_t count) {
  return {tag, static_cast<char>(count >> 24), static_cast<char>(count >> 16), static_cast<char>(count >> 8),
          static_cast<char>(count)};
}
template <typename Numbers>
std::string numbers(const Numbers& values) {
  std::string out = sized('\xdd', values.size());
  for (const auto value : values) out += number(value);
  return out;
}

struct Stored {
  std::vector<uint64_t> hashes;
  uint64_t parent = 0;  // 0: none
  std::vector<uint32_t> tokens;
  uint32_t block_size = 16;
  std::string adapter;             // empty: none
  std::vector<std::string> extra;  // keys of each block; empty: none
  std::string medium = "GPU";
  std::string kind;  // empty: not told
};
inline std::string encoded(const Stored& stored) {
  const std::string nil = "\xc0";
  std::string extras = nil;
  if (!stored.extra.empty()) {
    extras = sized('\xdd', stored.hashes.size());
    for (size_t i = 0; i < stored.hashes.size(); ++i) {
      extras += sized('\xdd', stored.extra.size());
      for (const std::string& key : stored.extra) extras += text(key);
    }
  }
  return "\x89" + text("type") + text("BlockStored") + text("block_hashes") + numbers(stored.hashes) +
         text("parent_block_hash") + (stored.parent == 0 ? nil : number(stored.parent)) + text("token_ids") +
         numbers(stored.tokens) + text("block_size") + number(stored.block_size) + text("medium") +
         text(stored.medium) + text("lora_name") + (stored.adapter.empty() ? nil : text(stored.adapter)) +
         text("extra_keys") + extras + text("kv_cache_spec_kind") + (stored.kind.empty() ? nil : text(stored.kind));
}
inline std::string removed(const std::vector<uint64_t>& hashes, std::string_view medium = "GPU") {
  return "\x83" + text("type") + text("BlockRemoved") + text("block_hashes") + numbers(hashes) + text("medium") +
         text(medium);
}
inline std::string cleared() { return "\x81" + text("type") + text("AllBlocksCleared"); }

// [ts, events, rank]
inline std::string batch(const std::vector<std::string>& events, uint64_t unix_s = 1'790'000'000) {
  std::string out = "\x93" + number(unix_s) + sized('\xdd', events.size());
  for (const std::string& event : events) out += event;
  return out + number(0);
}

}  // namespace payonce::kv_events::test
