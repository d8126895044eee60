#include "llm/json_edit.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace payonce::llm {

void JsonEdit::replace(uint32_t node, std::string json) {
  changes_.push_back({tape_[node].begin, end_of(node), std::move(json)});
}

void JsonEdit::add_member(uint32_t object, std::string_view name, std::string_view json) {
  const uint32_t at = end_of(object) - 1;
  const std::string_view comma = tape_[object].children > 0 ? "," : "";
  changes_.push_back({at, at, fmt::format("{}\"{}\":{}", comma, name, json)});
}

void JsonEdit::remove_members(uint32_t object, const std::function<bool(std::string_view)>& wanted_away) {
  uint32_t at = object + 1;
  uint32_t kept_end = 0;   // end of the last member that stays; 0: none yet
  uint32_t run_begin = 0;  // first byte of the members that go, in front of the first that stays
  bool open = false;       // such a run is open
  for (uint32_t i = 0; i < tape_[object].children; ++i, at = tape_[at + 1].next) {
    const uint32_t begin = tape_[at].begin, end = end_of(at + 1);
    if (!wanted_away(tape_.decoded(text_, at))) {
      if (open) changes_.push_back({run_begin, begin, {}});
      open = false;
      kept_end = end;
    } else if (kept_end != 0) {
      changes_.push_back({kept_end, end, {}});
      kept_end = end;
    } else if (!std::exchange(open, true)) {
      run_begin = begin;
    }
  }
  if (open) changes_.push_back({run_begin, end_of(object) - 1, {}});
}

void JsonEdit::insert_element(uint32_t array, uint32_t index, std::string_view json) {
  const uint32_t count = tape_[array].children;
  PAYONCE_ASSERT(index <= count);
  if (index == 0) {
    const uint32_t at = tape_[array].begin + 1;
    changes_.push_back({at, at, count > 0 ? fmt::format("{},", json) : std::string(json)});
    return;
  }
  uint32_t before = array + 1;
  for (uint32_t i = 1; i < index; ++i) before = tape_[before].next;
  changes_.push_back({end_of(before), end_of(before), fmt::format(",{}", json)});
}

void JsonEdit::remove_element(uint32_t array, uint32_t index) {
  uint32_t at = array + 1, before = 0;
  for (uint32_t i = 0; i < index; ++i, at = tape_[at].next) before = at;
  if (index > 0) {
    changes_.push_back({end_of(before), end_of(at), {}});
  } else {
    const uint32_t next = tape_[array].children > 1 ? tape_[tape_[at].next].begin : end_of(at);
    changes_.push_back({tape_[at].begin, next, {}});
  }
}

std::string JsonEdit::apply() {
  std::stable_sort(changes_.begin(), changes_.end(),
                   [](const Change& a, const Change& b) { return a.begin < b.begin; });
  size_t size = text_.size();
  for (const Change& change : changes_) size += change.text.size();
  std::string out;
  out.reserve(size);
  uint32_t at = 0;
  for (const Change& change : changes_) {
    PAYONCE_ASSERT(change.begin >= at);
    out.append(text_, at, change.begin - at).append(change.text);
    at = change.end;
  }
  out.append(text_, at);
  return out;
}

std::string json_string(std::string_view utf8) {
  std::string out;
  out.reserve(utf8.size() + 2);
  out += '"';
  for (const char c : utf8) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20)
          out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        else
          out += c;
    }
  }
  return out += '"';
}

}  // namespace payonce::llm
