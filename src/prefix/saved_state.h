// What this module learned, as bytes that are kept on disk: magic, version, payload, SHA-256 of all before it.
// Hashes, counts and orders; of texts only the spelling between list elements and the cache keys that clients sent.
// Threads: pure functions; the writers below one at a time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/little_endian.h"
#include "base/result.h"

namespace payonce::prefix {

std::string seal(std::string payload);
// kCorrupt: damaged, foreign or of another version.
base::Result<std::string_view> unseal(std::string_view bytes);

inline void put_hash(std::string& out, const base::Hash128& hash) {
  base::put_number(out, hash.low);
  base::put_number(out, hash.high);
}
inline base::Hash128 take_hash(base::NumberReader& from) {
  const auto low = from.number<uint64_t>();
  return {low, from.number<uint64_t>()};
}
void put_text(std::string& out, std::string_view text);
std::string take_text(base::NumberReader& from);
void put_hashes(std::string& out, const std::vector<base::Hash128>& hashes);
// Stops at the end of the bytes: never more than there is.
std::vector<base::Hash128> take_hashes(base::NumberReader& from);

}  // namespace payonce::prefix
