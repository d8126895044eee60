// Things that are volatile by nature, found in a line of text: dates and times, ids, e-mail addresses, paths.
// Threads: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace payonce::prefix {

enum class EntityType : uint8_t { kTime, kEmail, kId, kPath };

struct Entity {
  EntityType type;
  size_t begin, end;       // bytes of the text
  bool date_only = false;  // kTime: no time of day
};

// In order, not overlapping. `text` is at most some hundred bytes: a window around a difference.
std::vector<Entity> entities_in(std::string_view text);

// The bytes of a time that begins at `at`; 0 if none does. RFC 3339 and its kin, "Tuesday, 3 March 2026, 14:05",
// "03/03/26 2:05 pm", epochs of s, ms, µs, ns, "20260303T140509Z".
size_t time_length(std::string_view text, size_t at, bool& date_only);
// Whether a word looks drawn at random: uuid, ULID, nanoid, hex, base64, "req_…".
bool looks_random(std::string_view word);

}  // namespace payonce::prefix
