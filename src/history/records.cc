#include "history/records.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "history/csv.h"

namespace payonce::history {
namespace {

using llm::JsonType;
using llm::Tape;

constexpr size_t kTellEveryBytes = size_t{4} << 20;

size_t skip_space(std::string_view text, size_t at) {
  while (at < text.size() && (text[at] == ' ' || text[at] == '\n' || text[at] == '\t' || text[at] == '\r')) ++at;
  return at;
}

uint64_t lines_in(std::string_view text) { return static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n')); }

std::string too_long(size_t bytes) { return fmt::format("a record of more than the limit: {} bytes", bytes); }

class Cutter {
 public:
  Cutter(std::string_view text, size_t limit, Arena& arena, const Visitor& visitor)
      : text_(text), limit_(limit), arena_(arena), visitor_(visitor) {}

  void lines();
  void values();
  void csv();

 private:
  bool hand_out(std::string_view text, uint64_t line) {
    auto tape = Tape::parse(text);
    if (!tape) {
      visitor_.bad(line, std::move(tape.error().message));
      return true;
    }
    return visitor_.record(Json(*tape, text), line);
  }
  void tell(size_t at) {
    if (at - told_ < kTellEveryBytes || !visitor_.at) return;
    told_ = at;
    visitor_.at(at);
  }
  bool elements(size_t& at, uint64_t& line);
  std::string_view object_of(const std::vector<std::string>& names, const std::vector<std::string>& cells);

  std::string_view text_;
  size_t limit_;
  Arena& arena_;
  const Visitor& visitor_;
  size_t told_ = 0;
  std::string object_;
};

void Cutter::lines() {
  uint64_t number = 1;
  for (size_t at = 0; at < text_.size(); ++number) {
    const void* const found = std::memchr(text_.data() + at, '\n', text_.size() - at);
    const size_t end =
        found == nullptr ? text_.size() : static_cast<size_t>(static_cast<const char*>(found) - text_.data());
    const std::string_view line = text_.substr(at, end - at);
    at = end + 1;
    tell(end);
    if (skip_space(line, 0) == line.size()) continue;
    if (line.size() > limit_)
      visitor_.bad(number, too_long(line.size()));
    else if (!hand_out(line, number))
      return;
  }
}

// From behind '[': every element, up to behind ']'. False: stop.
bool Cutter::elements(size_t& at, uint64_t& line) {
  while (true) {
    size_t next = skip_space(text_, at);
    line += lines_in(text_.substr(at, next - at));
    at = next;
    if (at >= text_.size()) {
      visitor_.bad(line, "the list does not end: the file is cut off");
      return false;
    }
    if (text_[at] == ']' || text_[at] == ',') {
      if (text_[at++] == ']') return true;
      continue;
    }
    const size_t end = value_end(text_, at, limit_);
    if (end == std::string_view::npos) {
      visitor_.bad(line, "an element of the list does not end, or is longer than the limit: the rest is not read");
      return false;
    }
    const std::string_view one = text_.substr(at, end - at);
    if (!hand_out(one, line)) return false;
    line += lines_in(one);
    at = std::max(end, at + 1);
    tell(at);
  }
}

void Cutter::values() {
  uint64_t line = 1;
  for (size_t at = 0; true;) {
    const size_t next = skip_space(text_, at);
    line += lines_in(text_.substr(at, next - at));
    at = next;
    if (at >= text_.size()) return;
    if (text_[at] == '[') {
      if (!elements(++at, line)) return;
      continue;
    }
    size_t end = value_end(text_, at, limit_);
    if (end == std::string_view::npos) {  // on to the next line that may begin a value
      visitor_.bad(line, "a value does not end, or is longer than the limit");
      end = std::min(text_.find("\n{", at), text_.size());
    } else if (!hand_out(text_.substr(at, end - at), line)) {
      return;
    }
    line += lines_in(text_.substr(at, end - at));
    at = std::max(end, at + 1);
    tell(at);
  }
}

void append_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20)
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else
      out += c;
  }
  out += '"';
}

// A row as JSON. A cell that holds a JSON object, list or string of one is put in as that, any other one as a string.
std::string_view Cutter::object_of(const std::vector<std::string>& names, const std::vector<std::string>& cells) {
  object_.assign(1, '{');  // not = "{", of which g++ 12 gives a false warning
  for (size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) object_ += ',';
    append_string(object_, names[i]);
    object_ += ':';
    const bool may_be_json = !cells[i].empty() && (cells[i][0] == '{' || cells[i][0] == '[' || cells[i][0] == '"');
    if (may_be_json && Tape::parse(cells[i]).has_value())
      object_ += cells[i];
    else if (cells[i].empty())
      object_ += "null";
    else
      append_string(object_, cells[i]);
  }
  object_ += '}';
  return object_;
}

void Cutter::csv() {
  Csv csv(text_);
  Csv::Row header, row;
  if (!csv.next(header, limit_)) return;
  while (csv.next(row, limit_)) {
    tell(csv.offset());
    if (!row.closed && !row.too_long) {
      visitor_.bad(row.line, "the file ends inside of a quoted cell");
    } else if (row.too_long) {
      visitor_.bad(row.line, too_long(limit_));
    } else if (row.cells.size() != header.cells.size()) {
      visitor_.bad(row.line, fmt::format("CSV row of another width than its header: {} cells, {} columns",
                                         row.cells.size(), header.cells.size()));
    } else if (!hand_out(arena_.keep(object_of(header.cells, row.cells)), row.line)) {
      return;
    }
  }
}

}  // namespace

size_t value_end(std::string_view text, size_t at, size_t limit) {
  const size_t stop = limit < text.size() - at ? at + limit : text.size();
  size_t depth = 0;
  while (at < stop) {
    const char c = text[at++];
    if (c == '"') {
      while (true) {
        at = text.find_first_of("\"\\", at);
        if (at == std::string_view::npos || at >= stop) return std::string_view::npos;
        if (text[at] == '"') break;
        at += 2;
      }
      ++at;
      if (depth == 0) return at;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      if (depth <= 1) return depth == 0 ? at - 1 : at;
      --depth;
    } else if (depth == 0 && (at == text.size() || std::strchr(",]} \t\r\n", text[at]) != nullptr)) {
      return at;
    }
  }
  return std::string_view::npos;
}

Layout layout_of(std::string_view text, size_t max_record_bytes) {
  const size_t begin = skip_space(text, 0);
  if (begin == text.size()) return Layout::kLines;
  const size_t line_end = std::min(text.find('\n', begin), text.size());
  if (text[begin] == '[') return Layout::kValues;
  if (text[begin] != '{') return has_csv_header(text) ? Layout::kCsv : Layout::kLines;
  const size_t end = value_end(text, begin, max_record_bytes);
  if (end == std::string_view::npos || end <= line_end) return Layout::kLines;
  return Tape::parse(text.substr(begin, end - begin)).has_value() ? Layout::kValues : Layout::kLines;
}

void each_record(std::string_view text, Layout layout, size_t max_record_bytes, Arena& arena,
                 const Visitor& visitor) {
  Cutter cutter(text, max_record_bytes, arena, visitor);
  switch (layout) {
    case Layout::kLines: return cutter.lines();
    case Layout::kValues: return cutter.values();
    case Layout::kCsv: return cutter.csv();
  }
}

}  // namespace payonce::history
