#include "kv/block_hash.h"

namespace payonce::kv {
namespace {

std::string_view bytes_of(const void* data, size_t size) { return {static_cast<const char*>(data), size}; }

void add_sized(base::Sha256& hash, std::string_view part) {
  const uint64_t size = part.size();
  hash.update(bytes_of(&size, sizeof size));
  hash.update(part);
}

}  // namespace

BlockHash root_hash(std::string_view model, std::string_view layout) {
  base::Sha256 hash;
  hash.update("payonce kv block v1");
  add_sized(hash, model);
  add_sized(hash, layout);
  return hash.finish();
}

BlockHash chain_hash(const BlockHash& previous, std::string_view salt, std::span<const int32_t> tokens) {
  base::Sha256 hash;
  hash.update(bytes_of(previous.data(), previous.size()));
  add_sized(hash, salt);
  hash.update(bytes_of(tokens.data(), tokens.size_bytes()));
  return hash.finish();
}

}  // namespace payonce::kv
