// A file's text cut into JSON values: one a line, the elements of lists, values over several lines, or the rows of a
// CSV as objects.  Threads: pure functions apart from the arena.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "history/arena.h"
#include "history/json.h"

namespace payonce::history {

enum class Layout : uint8_t { kLines, kValues, kCsv };

// By the beginning of the text. kValues: a list, or a value that does not end on its first line.
Layout layout_of(std::string_view text, size_t max_record_bytes);

struct Visitor {
  std::function<bool(const Json& value, uint64_t line)> record;  // false: stop
  std::function<void(uint64_t line, std::string why)> bad;       // what stood there is no record
  std::function<void(size_t offset)> at;                         // now and then: how far it is
};

// The values that are handed out view `text`, or the arena for CSV. A record over `max_record_bytes` is bad.
void each_record(std::string_view text, Layout layout, size_t max_record_bytes, Arena& arena, const Visitor& visitor);

// Offset past the JSON value that begins at `at`, by its brackets and quotes alone; npos: it does not end within
// `limit` bytes.
size_t value_end(std::string_view text, size_t at, size_t limit);

}  // namespace payonce::history
