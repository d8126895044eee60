// One hash for equal JSON values, however they are spelled: key order, white space, escapes and the form of numbers
// do not count; text does, byte for byte. Members that only mark a cache breakpoint are left out where asked. A hash
// finds a candidate; where bytes are given in place of others, same_value() proves it. Threads: pure functions.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/hash.h"
#include "llm/json_tape.h"

namespace payonce::prefix {

// "cache_control" (Anthropic, Qwen, OpenRouter) and "prompt_cache_breakpoint" (OpenAI from GPT-5.6): they say where
// to write, the model never sees them.
bool is_marker_name(std::string_view member);

// A JSON text with its tape, and one value in it.
struct Value {
  const llm::Tape& tape;
  std::string_view text;
  uint32_t node = 0;
};

// Markers inside count like any other member, but for those of `value` itself when `without_markers`.
base::Hash128 value_hash(const base::KeyedHash& hash, const Value& value, bool without_markers = false);

// Equal as value_hash() means it, compared in full. `markers_to_depth`: markers of values at most so deep are left
// out (0: of none; 1: of the two values themselves; …).
bool same_value(const Value& a, const Value& b, int markers_to_depth = 0);

}  // namespace payonce::prefix
