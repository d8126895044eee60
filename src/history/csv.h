// RFC 4180 rows, as databases and dashboards export tables.  Threads: a value; the text outlives it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace payonce::history {

class Csv {
 public:
  explicit Csv(std::string_view text) : text_(text) {}

  // The next row's cells, decoded; false at the end. A quoted cell may hold line breaks. `closed` is false when the
  // text ends inside of quotes. Stops a row that is longer than `limit` at the end of its line.
  struct Row {
    std::vector<std::string> cells;
    uint64_t line = 0;  // from 1; of its first line
    bool closed = true;
    bool too_long = false;
  };
  bool next(Row& row, size_t limit);
  size_t offset() const { return at_; }

 private:
  void quoted(std::string& cell, Row& row, size_t end);
  std::string_view text_;
  size_t at_ = 0;
  uint64_t line_ = 1;
};

// True when the first line is a row of at least two column names (letters, digits, "_ .-").
bool has_csv_header(std::string_view text);

}  // namespace payonce::history
