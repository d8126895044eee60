// The master keys that seal what lies on disk. The first writes; the others still open what they sealed before.
// Threads: read-only once made.  Errors: kInvalid, with the place and what is expected; never the text of a key.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace payonce::seal {

inline constexpr size_t kKeyBytes = 32;

// Wiped when it goes; it has one place in memory.
class Key {
 public:
  explicit Key(const std::array<uint8_t, kKeyBytes>& bytes);
  ~Key();
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;

  std::string_view bytes() const { return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()}; }
  const std::string& id() const { return id_; }  // 8 bytes derived from it, no secret: names it in files and messages

 private:
  std::array<uint8_t, kKeyBytes> bytes_;
  std::string id_;
};

class Keys {
 public:
  // One key a word: base64 of 32 bytes, or 64 hex digits; from '#' to the end of a line is a comment. `source` is for
  // messages.
  static base::Result<std::shared_ptr<const Keys>> parse(std::string_view text, std::string_view source);
  // The same of a file. Only its owner may read it, or the group if it is root's file (systemd's credentials).
  static base::Result<std::shared_ptr<const Keys>> read(const std::string& path);

  const Key& first() const { return *keys_.front(); }
  const Key* find(std::string_view id) const;  // null: none of them

 private:
  std::vector<std::unique_ptr<const Key>> keys_;  // at least one
};
using KeysPtr = std::shared_ptr<const Keys>;

// How the data directory is protected. Without keys it is not.
struct Protection {
  KeysPtr keys;
  bool take_plaintext = true;  // what lies there unsealed is sealed at the start; false: it is refused
};

}  // namespace payonce::seal
