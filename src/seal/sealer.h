// AES-256-GCM under a key derived for one file: from a master key, a random salt in the file, and what the file is.
// Nonces are the caller's duty: none twice under one Sealer.
// Threads: a Sealer any; a Session one at a time.  Errors: open() returns false for bytes that seal() did not make
// with this nonce and these `bound` bytes, and then leaves zeros.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "seal/keys.h"

struct evp_cipher_ctx_st;

namespace payonce::seal {

inline constexpr size_t kSaltBytes = 32;
inline constexpr size_t kTagBytes = 16;
using Nonce = std::array<uint8_t, 12>;

Nonce random_nonce();
// The `step`th after it: its last four bytes count, big-endian.
Nonce advanced(Nonce nonce, uint32_t step);

// HKDF-SHA256 (RFC 5869), 32 bytes.
base::Digest derive(std::string_view key, std::string_view salt, std::string_view info);

class Sealer {
 public:
  Sealer(const Key& key, std::string_view salt, std::string_view purpose);
  ~Sealer();
  Sealer(const Sealer&) = delete;
  Sealer& operator=(const Sealer&) = delete;

  // The same text has the same mark under this Sealer alone: for what must be found without being read.
  std::string mark(std::string_view text) const;  // 16 bytes

 private:
  friend class Session;
  base::Digest key_, mark_key_;
};

// The cipher with its key in place, for a run of operations in one direction.
class Session {
 public:
  enum class Way : uint8_t { kSeal, kOpen };
  Session(const Sealer& sealer, Way way);

  // `out`: as many bytes as `plain`, then the tag.
  void seal(const Nonce& nonce, std::string_view bound, std::string_view plain, char* out);
  // `out`: as many bytes as `sealed`, without the tag.
  bool open(const Nonce& nonce, std::string_view bound, std::string_view sealed, char* out);

 private:
  void start(const Nonce& nonce, std::string_view bound);
  struct Free {
    void operator()(evp_cipher_ctx_st* context) const;
  };
  std::unique_ptr<evp_cipher_ctx_st, Free> context_;
};

}  // namespace payonce::seal
