#include "prefix/volatile_text.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"

namespace payonce::prefix {
namespace {

using base::is_digit;
using base::is_letter;
using base::lower;

bool is_id(char c) { return is_digit(c) || is_letter(c) || c == '-' || c == '_'; }

// Words that stand in dates, in lower case and in their order.
constexpr std::array<std::string_view, 43> kCalendar = {
    "am",       "apr",    "april",    "aug", "august",  "dec",       "december", "feb",    "february",
    "fri",      "friday", "gmt",      "jan", "january", "jul",       "july",     "jun",    "june",
    "mar",      "march",  "may",      "mon", "monday",  "nov",       "november", "oct",    "october",
    "pm",       "sat",    "saturday", "sep", "sept",    "september", "sun",      "sunday", "thu",
    "thursday", "tue",    "tuesday",  "utc", "wed",     "wednesday", "z"};

constexpr size_t kMaxGitLine_bytes = 300;
constexpr std::array<std::string_view, 6> kGitLabels = {
    "git status:", "status:", "git log:", "recent commits:", "git recent commits:", "latest commits:"};
// `git status --short`, trimmed on the left.
constexpr std::array<std::string_view, 12> kGitStates = {"M", "A",  "D",  "R",  "C",  "T",
                                                         "U", "MM", "AM", "RM", "UU", "??"};

bool is_calendar_word(std::string_view word) {
  char small[9];
  if (word.size() > sizeof small || !is_letter(word[0])) return false;
  std::transform(word.begin(), word.end(), small, lower);
  return std::binary_search(kCalendar.begin(), kCalendar.end(), std::string_view(small, word.size()));
}

struct Run {
  size_t digits = 0, letters = 0, dashes = 0, switches = 0;  // switches: between digit and letter
};
Run run_of(std::string_view word) {
  Run run;
  for (size_t i = 0; i < word.size(); ++i) {
    is_digit(word[i]) ? ++run.digits : is_letter(word[i]) ? ++run.letters : ++run.dashes;
    if (i > 0 && is_digit(word[i]) != is_digit(word[i - 1])) ++run.switches;
  }
  return run;
}

bool is_uuid(std::string_view word) {
  if (word.size() < 36) return false;
  for (size_t at = 0; at + 36 <= word.size(); ++at) {
    bool fits = true;
    for (size_t i = 0; fits && i < 36; ++i)
      fits = i == 8 || i == 13 || i == 18 || i == 23 ? word[at + i] == '-' : base::hex_value(word[at + i]) >= 0;
    if (fits) return true;
  }
  return false;
}

// Digits and letters mixed as no word or number mixes them: an id.
bool is_random_id(std::string_view word) {
  if (word.size() < 16 || std::none_of(word.begin(), word.end(), is_digit)) return false;
  if (is_uuid(word)) return true;
  while (!word.empty()) {  // names and versions are joined by dashes; ids are long between them
    const size_t dash = std::min(word.find_first_of("-_"), word.size());
    const Run run = run_of(word.substr(0, dash));
    if (dash >= 16 && run.digits >= 3 && run.letters >= 2 && run.switches >= 4) return true;
    word.remove_prefix(std::min(dash + 1, word.size()));
  }
  return false;
}

// Seconds or milliseconds since 1970, from 2017 to 2033.
bool is_epoch(std::string_view word) {
  return (word.size() == 10 || word.size() == 13) && std::all_of(word.begin(), word.end(), is_digit) &&
         word[0] == '1' && word[1] >= '5';
}

// "14:05" with at most two digits in front, as a time of day has it.
bool has_clock(std::string_view text) {
  for (size_t at = 1; at + 2 < text.size(); ++at) {
    if (text[at] != ':' || !is_digit(text[at - 1]) || !is_digit(text[at + 1]) || !is_digit(text[at + 2])) continue;
    size_t begin = at;
    while (begin > 0 && is_digit(text[begin - 1])) --begin;
    const bool whole = at + 3 >= text.size() || !is_digit(text[at + 3]);
    if (at - begin <= 2 && whole && text[at + 1] <= '5') return true;
  }
  return false;
}

template <typename Do>
void for_each_word(std::string_view text, Do&& what) {
  for (size_t at = 0; at < text.size();) {
    if (!is_id(text[at])) {
      ++at;
      continue;
    }
    size_t end = at;
    while (end < text.size() && is_id(text[end])) ++end;
    if (!what(at, text.substr(at, end - at))) return;
    at = end;
  }
}

// Where the segment that begins at `begin` ends: behind its line, or behind a sentence with more of it to come.
size_t end_of_segment(std::string_view text, size_t begin) {
  for (size_t at = begin; at < text.size(); ++at) {
    if (text[at] == '\n') return at + 1;
    const bool stop = text[at] == '.' || text[at] == '!' || text[at] == '?';
    if (stop && at + 2 < text.size() && text[at + 1] == ' ' && at > begin && !is_digit(text[at + 2])) return at + 2;
  }
  return text.size();
}

}  // namespace

std::string masked(std::string_view segment) {
  std::string out;
  out.reserve(segment.size());
  size_t copied = 0;
  for_each_word(segment, [&](size_t at, std::string_view word) {
    const bool has_digit = std::any_of(word.begin(), word.end(), is_digit);
    if (!has_digit && !is_calendar_word(word)) return true;
    out.append(segment, copied, at - copied);
    out += std::all_of(word.begin(), word.end(), is_digit) ? '0' : '#';
    copied = at + word.size();
    return true;
  });
  return out.append(segment, copied);
}

bool looks_volatile(std::string_view segment) {
  if (has_clock(segment)) return true;
  bool found = false;
  for_each_word(segment, [&](size_t, std::string_view word) {
    found = is_random_id(word) || is_epoch(word);
    return !found;
  });
  return found;
}

bool is_git_state(std::string_view segment, bool below_another) {
  const auto skip = [&](std::string_view of) {
    segment.remove_prefix(std::min(segment.find_first_not_of(of), segment.size()));
  };
  skip(" \t-*");
  while (!segment.empty() && (segment.back() == '\n' || segment.back() == '\r' || segment.back() == ' '))
    segment.remove_suffix(1);
  if (segment.size() > kMaxGitLine_bytes) return false;
  const std::string small = base::lowered(segment);
  if (std::find(kGitLabels.begin(), kGitLabels.end(), small) != kGitLabels.end()) return true;
  const size_t space = segment.find(' ');
  if (space == std::string_view::npos || space + 1 == segment.size()) return false;
  const std::string_view first = segment.substr(0, space);
  if (std::find(kGitStates.begin(), kGitStates.end(), first) != kGitStates.end())
    return segment.find_first_of("./") != std::string_view::npos &&  // a path, not a sentence after an initial
           segment.find(' ', space + 1) == std::string_view::npos;
  const auto is_hash_digit = [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); };
  const bool mixed =
      std::any_of(first.begin(), first.end(), is_digit) && std::any_of(first.begin(), first.end(), is_letter);
  return first.size() >= 7 && first.size() <= 40 && std::all_of(first.begin(), first.end(), is_hash_digit) &&
         (mixed || below_another);
}

std::vector<Segment> segments_of(std::string_view text, const base::KeyedHash& hash) {
  std::vector<Segment> out;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = end_of_segment(text, begin);
    const std::string_view bytes = text.substr(begin, end - begin);
    Segment segment{.begin = static_cast<uint32_t>(begin), .size = static_cast<uint32_t>(end - begin)};
    segment.exact = hash(bytes);
    segment.slot = hash.parts<2>({"slot", masked(bytes)});
    segment.looks_volatile = looks_volatile(bytes);
    segment.is_git_state = is_git_state(bytes, !out.empty() && out.back().is_git_state);
    out.push_back(segment);
    begin = end;
  }
  return out;
}

}  // namespace payonce::prefix
