#include "prefix/breakers/entities.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/ascii.h"

namespace payonce::prefix {
namespace {

using base::is_alphanumeric;
using base::is_digit;
using base::is_lower;
using base::is_upper;

bool is_hex(char c) { return base::hex_value(c) >= 0; }
bool is_id_char(char c) { return is_alphanumeric(c) || c == '-' || c == '_' || c == '+'; }

bool has_uuid(std::string_view word) {
  constexpr std::string_view kShape = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  for (size_t at = 0; at + kShape.size() <= word.size(); ++at) {
    size_t i = 0;
    while (i < kShape.size() && (kShape[i] == '-' ? word[at + i] == '-' : is_hex(word[at + i]))) ++i;
    if (i == kShape.size()) return true;
  }
  return false;
}

// Letters and digits as they change class: words change rarely, random ids at every second character.
bool is_dense(std::string_view piece) {
  size_t digits = 0, changes = 0;
  bool hex = true;
  int before = -1;
  for (const char c : piece) {
    const int kind = is_digit(c) ? 0 : is_lower(c) ? 1 : 2;
    digits += kind == 0 ? 1 : 0;
    hex = hex && is_hex(c);
    // A capital in front of lower letters is how words begin.
    if (before >= 0 && kind != before && !(before == 2 && kind == 1)) ++changes;
    before = kind;
  }
  if (hex && piece.size() >= 8) return digits > 0 && digits < piece.size() && changes >= 1;
  if (piece.size() >= 24) return changes >= 3;
  if (digits == piece.size()) return piece.size() >= 9;
  return piece.size() >= 8 && digits > 0 && changes >= 3;
}

size_t email_length(std::string_view text, size_t at) {
  if (at > 0 && (is_alphanumeric(text[at - 1]) || text[at - 1] == '.')) return 0;
  const auto local = [](char c) {
    return is_alphanumeric(c) || c == '.' || c == '_' || c == '+' || c == '-' || c == '%';
  };
  size_t end = at;
  while (end < text.size() && local(text[end])) ++end;
  if (end == at || end >= text.size() || text[end] != '@') return 0;
  const size_t domain = ++end;
  size_t dot = 0;
  while (end < text.size() && (is_alphanumeric(text[end]) || text[end] == '.' || text[end] == '-')) {
    if (text[end] == '.') dot = end;
    ++end;
  }
  while (end > domain && text[end - 1] == '.') --end;
  return dot > domain && dot + 1 < end ? end - at : 0;
}

size_t path_length(std::string_view text, size_t at) {
  const char before = at > 0 ? text[at - 1] : ' ';
  if (is_alphanumeric(before) || before == '/' || before == '.' || before == '<') return 0;
  size_t end = at;
  if (text.substr(at).starts_with("~/") || text.substr(at).starts_with("./"))
    end += 2;
  else if (at + 2 < text.size() && is_upper(text[at]) && text[at + 1] == ':' &&
           (text[at + 2] == '\\' || text[at + 2] == '/'))
    end += 3;
  else if (text[at] == '/' && at + 1 < text.size() && is_alphanumeric(text[at + 1]))
    end += 1;
  else
    return 0;
  const auto inside = [](char c) {
    return is_alphanumeric(c) || c == '/' || c == '\\' || c == '.' || c == '_' || c == '-' || c == '@' || c == '+' ||
           c == '~';
  };
  while (end < text.size() && inside(text[end])) ++end;
  while (end > at && text[end - 1] == '.') --end;
  return end - at >= 4 ? end - at : 0;
}

size_t id_length(std::string_view text, size_t at) {
  if (at > 0 && is_id_char(text[at - 1])) return 0;
  size_t end = at;
  while (end < text.size() && is_id_char(text[end])) ++end;
  while (end > at && !is_alphanumeric(text[end - 1])) --end;
  while (end > at && end < text.size() && text[end] == '=') ++end;  // base64's padding
  return end > at && looks_random(text.substr(at, end - at)) ? end - at : 0;
}

}  // namespace

bool looks_random(std::string_view word) {
  if (word.size() < 8) return false;
  if (has_uuid(word)) return true;
  // The pieces between separators: "req_01HZX4…", "build-7f3a9c21".
  size_t begin = 0;
  for (size_t i = 0; i <= word.size(); ++i) {
    if (i < word.size() && is_alphanumeric(word[i])) continue;
    if (i > begin && is_dense(word.substr(begin, i - begin))) return true;
    begin = i + 1;
  }
  // nanoid: separators are characters of the id.
  size_t classes = 0, digits = 0;
  int before = -1;
  for (const char c : word) {
    const int kind = is_digit(c) ? 0 : is_lower(c) ? 1 : is_upper(c) ? 2 : 3;
    digits += kind == 0 ? 1 : 0;
    if (kind != before) ++classes;
    before = kind;
  }
  return word.size() >= 16 && digits > 0 && classes * 2 >= word.size();
}

std::vector<Entity> entities_in(std::string_view text) {
  std::vector<Entity> out;
  for (size_t at = 0; at < text.size();) {
    bool date_only = false;
    size_t length = 0;
    EntityType type = EntityType::kTime;
    if (is_alphanumeric(text[at]) || text[at] == '/' || text[at] == '~' || text[at] == '.') {
      if (length = time_length(text, at, date_only); length == 0) {
        if (length = email_length(text, at); length > 0)
          type = EntityType::kEmail;
        else if (length = path_length(text, at); length > 0)
          type = EntityType::kPath;
        else if (length = id_length(text, at); length > 0)
          type = EntityType::kId;
      } else if (const size_t id = id_length(text, at); id > length + 4) {
        length = id;  // an id that begins as a date does
        type = EntityType::kId;
      }
    }
    if (length > 0) {
      out.push_back({type, at, at + length, date_only});
      at += length;
      continue;
    }
    const size_t before = at;
    while (at < text.size() && is_alphanumeric(text[at])) ++at;
    if (at == before) ++at;
  }
  return out;
}

}  // namespace payonce::prefix
