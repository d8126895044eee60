// What reads the records of one format. One lives for a whole read(), so that it can join records of several files.
// Threads: one at a time.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "history/json.h"
#include "history/records.h"
#include "history/sink.h"

namespace payonce::history {

class Reader {
 public:
  explicit Reader(Sink& sink) : sink_(sink) {}
  virtual ~Reader() = default;
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  virtual void begin() {}  // of a file, which is sink.file()
  // An object. It is either a call, or a part of one, or goes to sink.skip() or sink.ignore().
  virtual void record(const Json& value, uint64_t line) = 0;
  virtual void end() {}     // of a file
  virtual void finish() {}  // of all files

 protected:
  Sink& sink_;
};

struct FormatEntry {
  Format format;
  std::string_view name;
  // Is this object of the format, beyond doubt? Asked in the order of the table; rows take what nobody claims.
  bool (*claims)(const Json& value);
  std::unique_ptr<Reader> (*make)(Sink& sink);
};
inline constexpr size_t kFormats = 10;
const std::array<FormatEntry, kFormats>& formats();

// Of the first record that anyone claims; kRows: nobody does.
Format detect(std::string_view text, Layout layout, const Limits& limits);
// Exports put their rows into {"data": […]} and the like: that list, if it is one of objects.
Json list_in(const Json& value);

}  // namespace payonce::history
