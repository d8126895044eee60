// Hashes. SHA-256 (OpenSSL) for everything stored, shared or shown; XXH3-128 with a secret of this process only for
// keys that never leave it (a raw-body key, sharding), because a 64-bit or unkeyed hash lets a caller build
// collisions. Threads: free functions any; Sha256 objects one at a time.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace payonce::base {

using Digest = std::array<uint8_t, 32>;

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(std::string_view bytes);
  Digest finish();  // once; afterwards only destroy

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Digest sha256(std::string_view bytes);
Digest hmac_sha256(std::string_view key, std::string_view bytes);
std::string hex(std::string_view bytes);
inline std::string hex(const Digest& digest) {
  return hex(std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

struct Hash128 {
  uint64_t low = 0;
  uint64_t high = 0;
  auto operator<=>(const Hash128&) const = default;
};
inline std::string_view bytes_of(const Hash128& hash) { return {reinterpret_cast<const char*>(&hash), sizeof hash}; }
struct Hash128Hasher {
  size_t operator()(const Hash128& hash) const { return static_cast<size_t>(hash.low); }
};

// XXH3-128 under a secret drawn once per object (one per process in production).
class KeyedHash {
 public:
  KeyedHash();  // random secret
  // A secret made from `seed`: for what is kept on disk, in a data directory with a seed of its own.
  explicit KeyedHash(std::string_view seed);
  Hash128 operator()(std::string_view bytes) const;
  // Hash of several parts; the lengths are mixed in, so ("ab","c") and ("a","bc") differ.
  template <size_t N>
  Hash128 parts(const std::array<std::string_view, N>& parts) const {
    return hash_parts(parts.data(), N);
  }

 private:
  Hash128 hash_parts(const std::string_view* parts, size_t count) const;
  std::array<uint8_t, 192> secret_;
};

// From the kernel. Aborts the process if the kernel has none to give.
void random_bytes(void* out, size_t size);
std::string random_hex(size_t bytes);

}  // namespace payonce::base
