// A value in a parsed JSON text, looked at without copies: what the readers of logs see of a record.
// Threads: a value. Points to the tape and the text, which outlive it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "history/arena.h"
#include "llm/json_tape.h"

namespace payonce::history {

class Json {
 public:
  Json() = default;  // no value: everything that is asked of it is absent, 0 or empty
  Json(const llm::Tape& tape, std::string_view text, uint32_t node = 0)
      : tape_(node == llm::Tape::kNone ? nullptr : &tape), text_(text), node_(node) {}

  // False: absent, or null.
  explicit operator bool() const { return tape_ != nullptr && type() != llm::JsonType::kNull; }
  llm::JsonType type() const { return tape_ == nullptr ? llm::JsonType::kNull : (*tape_)[node_].type; }
  bool is_object() const { return type() == llm::JsonType::kObject; }
  bool is_array() const { return type() == llm::JsonType::kArray; }
  bool is_string() const { return type() == llm::JsonType::kString; }

  Json operator[](std::string_view name) const {
    return tape_ == nullptr ? Json() : Json(*tape_, text_, tape_->find(text_, node_, name));
  }
  // The first of these members that is there, and neither null nor an empty string.
  Json first(std::initializer_list<std::string_view> names) const {
    for (const std::string_view name : names)
      if (const Json found = (*this)[name]; found && found.raw() != "\"\"") return found;
    return {};
  }

  std::string_view raw() const { return tape_ == nullptr ? std::string_view() : tape_->raw(text_, node_); }
  // The text of a string as it stands between its quotes: for comparing with plain words. "" for other types.
  std::string_view word() const { return is_string() ? raw().substr(1, raw().size() - 2) : std::string_view(); }
  // The decoded text of a string, kept in the arena where it is escaped; other scalars as they are spelt; else "".
  std::string_view text(Arena& arena) const {
    if (is_string()) return (*tape_)[node_].escaped ? arena.keep(tape_->decoded(text_, node_)) : word();
    return *this && !is_object() && !is_array() ? raw() : std::string_view();
  }
  std::string decoded() const { return is_string() ? tape_->decoded(text_, node_) : std::string(); }
  // A number, or a string that spells one.
  double number(double otherwise = 0) const;
  int64_t integer(int64_t otherwise = 0) const;
  bool flag() const;  // true, or a string or number that spells it
  // A time as parse_time_ms() reads it; 0: none.
  int64_t time_ms() const;

  uint32_t size() const { return tape_ == nullptr ? 0 : (*tape_)[node_].children; }
  // visit(Json) for the elements of an array.
  template <typename Visit>
  void each(const Visit& visit) const {
    if (!is_array()) return;
    for (uint32_t i = 0, at = node_ + 1; i < size(); ++i, at = (*tape_)[at].next) visit(Json(*tape_, text_, at));
  }
  // visit(Json name, Json value) for the members of an object.
  template <typename Visit>
  void each_member(const Visit& visit) const {
    if (!is_object()) return;
    for (uint32_t i = 0, at = node_ + 1; i < size(); ++i, at = (*tape_)[at + 1].next)
      visit(Json(*tape_, text_, at), Json(*tape_, text_, at + 1));
  }

 private:
  const llm::Tape* tape_ = nullptr;
  std::string_view text_;
  uint32_t node_ = 0;
};

// RFC 3339 ("2026-03-03T14:05:09.120Z", "+01:00", " " for "T"; no zone: UTC), or a number of s, ms, µs or ns since
// 1970; in ms. The unit of a number is told by its size.
std::optional<int64_t> parse_time_ms(std::string_view text);

}  // namespace payonce::history
