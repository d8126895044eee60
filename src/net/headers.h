// HTTP header fields as one flat block of "name: value\r\n" lines: an HTTP/1.1 head is a copy of it, and a hit costs
// one allocation. Names keep their spelling and compare without case; order and duplicates are kept. Threads: a
// value; distinct objects any. REQUIRES of add(): name is a token and value holds no CR, LF or NUL (RFC 9110 5.5).
// add() drops a field that breaks this (never splits a response); try_add() says so.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace payonce::net {

class Headers {
 public:
  void add(std::string_view name, std::string_view value) { (void)try_add(name, value); }
  [[nodiscard]] bool try_add(std::string_view name, std::string_view value);
  // REQUIRES: `lines` are whole "name: value\r\n" lines of our own making, which nobody else's text can reach.
  void append_lines(std::string_view lines) { lines_ += lines; }
  void set(std::string_view name, std::string_view value);  // removes all of that name, then adds
  void remove(std::string_view name);
  // First value of that name. The view is valid until the next change.
  std::optional<std::string_view> get(std::string_view name) const;
  size_t count(std::string_view name) const;
  // All values of that name, joined by ", " (RFC 9110 5.3).
  std::string joined(std::string_view name) const;
  template <typename Visit>  // visit(name, value)
  void for_each(Visit&& visit) const {
    std::string_view rest = lines_;
    while (!rest.empty()) {
      const size_t colon = rest.find(':');
      const size_t end = rest.find("\r\n", colon);
      visit(rest.substr(0, colon), rest.substr(colon + 2, end - colon - 2));
      rest.remove_prefix(end + 2);
    }
  }
  std::string_view lines() const { return lines_; }  // "name: value\r\n"…, as on the HTTP/1.1 wire
  bool empty() const { return lines_.empty(); }
  void reserve(size_t bytes) { lines_.reserve(bytes); }

 private:
  std::string lines_;
};

bool equals_ignoring_case(std::string_view a, std::string_view b);  // ASCII

}  // namespace payonce::net
