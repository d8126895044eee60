#include "history/csv.h"

#include <algorithm>

#include "base/ascii.h"

namespace payonce::history {

// Past the opening quote; leaves `at_` behind the closing one.
void Csv::quoted(std::string& cell, Row& row, size_t end) {
  while (true) {
    const size_t quote = std::min(text_.find('"', at_), end);
    const std::string_view part = text_.substr(at_, quote - at_);
    cell.append(part);
    line_ += static_cast<uint64_t>(std::count(part.begin(), part.end(), '\n'));
    at_ = quote + 1;
    if (quote >= end) {
      at_ = end;
      row.closed = end < text_.size();
      row.too_long = end < text_.size();
      return;
    }
    if (at_ >= text_.size() || text_[at_] != '"') return;
    cell += '"';
    ++at_;
  }
}

bool Csv::next(Row& row, size_t limit) {
  row.cells.clear();
  row.closed = true;
  row.too_long = false;
  while (at_ < text_.size() && (text_[at_] == '\n' || text_[at_] == '\r')) line_ += text_[at_++] == '\n' ? 1 : 0;
  row.line = line_;
  if (at_ >= text_.size()) return false;
  const size_t end = limit < text_.size() - at_ ? at_ + limit : text_.size();
  while (true) {
    std::string& cell = row.cells.emplace_back();
    if (at_ < text_.size() && text_[at_] == '"') {
      ++at_;
      quoted(cell, row, end);
    }
    const size_t stop = std::min(text_.find_first_of(",\n\r", at_), text_.size());
    cell.append(text_.substr(at_, stop - at_));
    at_ = stop;
    if (at_ >= end || text_[at_] != ',') break;
    ++at_;
  }
  row.too_long = row.too_long || (at_ >= end && end < text_.size());
  return true;
}

bool has_csv_header(std::string_view text) {
  const std::string_view line = text.substr(0, std::min(text.find('\n'), size_t{16384}));
  const auto plain = [](char c) {
    return base::is_alphanumeric(c) || std::string_view("_ .-,\"\r").find(c) != std::string_view::npos;
  };
  return line.find(',') != std::string_view::npos && std::all_of(line.begin(), line.end(), plain);
}

}  // namespace payonce::history
