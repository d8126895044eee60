#include "net/headers.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "base/find_any.h"

namespace payonce::net {
namespace {

// RFC 9110 5.6.2: the characters of a token.
constexpr std::array<bool, 256> make_token_table() {
  std::array<bool, 256> table{};
  for (const char c :
       std::string_view("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    table[static_cast<unsigned char>(c)] = true;
  return table;
}
constexpr std::array<bool, 256> kToken = make_token_table();

bool is_token(std::string_view name) {
  return !name.empty() &&
         std::all_of(name.begin(), name.end(), [](char c) { return kToken[static_cast<unsigned char>(c)]; });
}

bool is_field_value(std::string_view value) {
  return base::find_any<'\r', '\n', '\0'>(value) == std::string_view::npos;
}

}  // namespace

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return base::lower(x) == base::lower(y); });
}

bool Headers::try_add(std::string_view name, std::string_view value) {
  if (!is_token(name) || !is_field_value(value)) return false;
  lines_.append(name).append(": ").append(value).append("\r\n");
  return true;
}

void Headers::set(std::string_view name, std::string_view value) {
  remove(name);
  add(name, value);
}

void Headers::remove(std::string_view name) {
  size_t at = 0;
  while (at < lines_.size()) {
    const size_t colon = lines_.find(':', at);
    const size_t end = lines_.find("\r\n", colon) + 2;
    if (equals_ignoring_case(std::string_view(lines_).substr(at, colon - at), name))
      lines_.erase(at, end - at);
    else
      at = end;
  }
}

std::optional<std::string_view> Headers::get(std::string_view name) const {
  std::string_view rest = lines_;
  while (!rest.empty()) {
    const size_t colon = rest.find(':');
    const size_t end = rest.find("\r\n", colon);
    if (equals_ignoring_case(rest.substr(0, colon), name)) return rest.substr(colon + 2, end - colon - 2);
    rest.remove_prefix(end + 2);
  }
  return std::nullopt;
}

size_t Headers::count(std::string_view name) const {
  size_t found = 0;
  for_each([&](std::string_view field, std::string_view) { found += equals_ignoring_case(field, name) ? 1 : 0; });
  return found;
}

std::string Headers::joined(std::string_view name) const {
  std::string out;
  bool first = true;
  for_each([&](std::string_view field, std::string_view value) {
    if (!equals_ignoring_case(field, name)) return;
    if (!first) out += ", ";
    first = false;
    out += value;
  });
  return out;
}

}  // namespace payonce::net
