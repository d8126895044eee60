#include "prefix/breakers/labels.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/ascii.h"
#include "base/utf8.h"
#include "prefix/breakers/slots.h"

namespace payonce::prefix {
namespace {

constexpr size_t kLineBytes = 80, kLabelBytes = 24, kToldBytes = 48;

using base::is_digit;
using base::is_utf8_letter;
using base::lower;

constexpr std::array<std::string_view, 9> kClockWords = {"time",      "date", "now",   "today",   "clock",
                                                         "timestamp", "utc",  "epoch", "datetime"};
constexpr std::array<std::string_view, 21> kIdWords = {
    "request", "requestid",  "trace",       "traceid", "nonce",    "correlation", "uuid",
    "guid",    "run",        "transaction", "seed",    "salt",     "span",        "bust",
    "build",   "invocation", "call",        "rid",     "token id", "ref",         "job"};
constexpr std::array<std::string_view, 36> kUserWords = {
    "user",    "username", "customer",     "account",      "member",  "name",     "assisting", "helping",
    "talking", "speaking", "logged",       "signed",       "behalf",  "email",    "mail",      "profile",
    "tenant",  "org",      "organization", "organisation", "company", "employee", "session",   "sessionid",
    "client",  "patient",  "student",      "hello",        "dear",    "born",     "birthday",  "joined",
    "since",   "owner",    "serving",      "conversation"};
constexpr std::array<std::string_view, 52> kWorkspaceWords = {
    "cwd",       "directory", "folder",      "git",      "branch", "commit",  "sha",       "head",    "status",
    "workspace", "env",       "environment", "platform", "shell",  "tokens",  "token",     "budget",  "remaining",
    "left",      "usage",     "used",        "context",  "turn",   "step",    "iteration", "file",    "files",
    "modified",  "cursor",    "line",        "lines",    "memory", "cpu",     "load",      "process", "port",
    "uptime",    "todo",      "todos",       "progress", "count",  "battery", "disk",      "cost",    "spent",
    "messages",  "open",      "pid",         "path",     "repo",   "tests",   "elapsed"};

// The end of the last whole word of `words` in `text`; 0 if there is none.
size_t last_of(std::string_view text, std::span<const std::string_view> words) {
  size_t best = 0;
  for (const std::string_view word : words) {
    for (size_t at = text.rfind(word); at != std::string_view::npos;
         at = at == 0 ? std::string_view::npos : text.rfind(word, at - 1)) {
      const size_t end = at + word.size();
      if (end <= best) break;
      if ((at > 0 && is_utf8_letter(text[at - 1])) || (end < text.size() && is_utf8_letter(text[end]))) continue;
      best = end;
      break;
    }
  }
  return best;
}

size_t unicode_escape(std::string_view text, size_t at, std::string& out) {
  if (at + 5 >= text.size() || text[at] != '\\' || text[at + 1] != 'u') return 0;
  unsigned code = 0;
  for (size_t i = at + 2; i < at + 6; ++i) {
    const int digit = base::hex_value(text[i]);
    if (digit < 0) return 0;
    code = code * 16 + static_cast<unsigned>(digit);
  }
  base::append_character(out, code);
  return 6;
}

}  // namespace

size_t space_length(std::string_view text, size_t at) {
  switch (text[at]) {
    case ' ':
    case '\n':
    case '\r':
    case '\t':
    case '\v':
    case '\f': return 1;
    case '\xC2': return text.substr(at).starts_with("\xC2\xA0") ? 2 : 0;  // no-break space
    case '\xE2': {
      const std::string_view rest = text.substr(at, 3);
      const bool known = rest == "\xE2\x80\x8B" || rest == "\xE2\x80\xAF" || rest == "\xE2\x80\x89" ||
                         rest == "\xE2\x80\xA8" || rest == "\xE2\x81\xA0";  // zero width, narrow, thin, line, joiner
      return known ? 3 : 0;
    }
    case '\xEF': return text.substr(at).starts_with("\xEF\xBB\xBF") ? 3 : 0;  // byte order mark
    default: return 0;
  }
}

std::string_view line_before(std::string_view text, size_t at) {
  at = std::min(at, text.size());
  size_t from = at > kLineBytes ? at - kLineBytes : 0;
  if (const size_t newline = at == 0 ? std::string_view::npos : text.rfind('\n', at - 1);
      newline != std::string_view::npos)
    from = std::max(from, newline + 1);
  return text.substr(from, at - from);
}

std::string label_of(std::string_view before) {
  while (before.ends_with(' ')) before.remove_suffix(1);
  if (before.size() > kLabelBytes) before.remove_prefix(before.size() - kLabelBytes);
  std::string out;
  for (const char c : before) {
    if (is_digit(c) && out.ends_with('#')) continue;
    out += is_digit(c) ? '#' : lower(c);
  }
  return out;
}

bool is_number(std::string_view text) {
  size_t digits = 0, letters = 0;
  for (const char c : text) {
    digits += is_digit(c) ? 1 : 0;
    letters += is_utf8_letter(c) ? 1 : 0;
    if (!is_digit(c) && !is_utf8_letter(c) && std::string_view(".,%-+/ $_'").find(c) == std::string_view::npos)
      return false;
  }
  return digits > 0 && letters <= 2;
}

bool looks_like_name(std::string_view text) {
  size_t words = 0;
  for (size_t at = 0; at < text.size();) {
    if (text[at] == ' ') {
      ++at;
      continue;
    }
    if (base::is_ascii(text[at]) && !base::is_upper(text[at])) return false;
    const size_t begin = at;
    while (at < text.size() && (is_utf8_letter(text[at]) || text[at] == '\'' || text[at] == '-' || text[at] == '.'))
      ++at;
    if (at == begin) return false;
    ++words;
  }
  return words >= 1 && words <= 4;
}

std::string without_spelling(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    if (const size_t space = space_length(text, at); space > 0) {
      at += space;
    } else if (const size_t escape = unicode_escape(text, at, out); escape > 0) {
      at += escape;
    } else {
      out += text[at++];
    }
  }
  return out;
}

std::string excerpt(std::string_view text) { return base::excerpt(text, kExcerptBytes); }

Guess guess_by_label(std::string_view label) {
  // The sentence that leads to the place; what was said before it is about something else.
  if (const size_t stop = label.rfind(". "); stop != std::string_view::npos) label.remove_prefix(stop + 2);
  if (label.size() > kToldBytes) label.remove_prefix(label.size() - kToldBytes);
  const std::string text = base::lowered(label);
  const std::pair<size_t, Guess> found[] = {{last_of(text, kClockWords), Guess::kClock},
                                            {last_of(text, kIdWords), Guess::kId},
                                            {last_of(text, kUserWords), Guess::kUser},
                                            {last_of(text, kWorkspaceWords), Guess::kWorkspace}};
  const auto best = std::max_element(std::begin(found), std::end(found),
                                     [](const auto& a, const auto& b) { return a.first < b.first; });
  return best->first > 0 ? best->second : Guess::kOther;
}

}  // namespace payonce::prefix
