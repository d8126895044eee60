#include "prefix/context/words.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"

namespace payonce::prefix {
namespace {

constexpr size_t kFirstWords_bytes = 60;

// The first line, cut between two words (or two characters).
std::string_view first_words(std::string_view text) {
  const size_t begin = std::min(text.find_first_not_of(" \t\r\n"), text.size());
  text = text.substr(begin, text.find('\n', begin) - begin);
  if (text.size() <= kFirstWords_bytes) return text;
  const size_t end = text.rfind(' ', kFirstWords_bytes);
  return end == text.npos || end == 0 ? base::beginning(text, kFirstWords_bytes) : text.substr(0, end);
}

}  // namespace

std::string ranking(const std::vector<std::string>& names, const std::vector<uint32_t>& place) {
  std::vector<std::string> sorted = names;
  std::sort(sorted.begin(), sorted.end());
  const bool named = !sorted.front().empty() && std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end();
  std::string out = named ? "Most relevant first: " : "Most relevant first, counted from the top: ";
  for (size_t i = 0; i < place.size(); ++i)
    out += fmt::format("{}{}", i > 0 ? ", " : "", named ? names[i] : std::to_string(place[i] + 1));
  return out + ".";
}

std::string reference_to(std::string_view document) {
  const size_t open = document.find('>'), close = document.rfind("</");
  if (document.starts_with('<') && open != document.npos && close != document.npos && open < close) {
    const std::string_view inside = document.substr(open + 1, close - open - 1);
    return fmt::format("{}{} … (in full above){}", document.substr(0, open + 1), first_words(inside),
                       document.substr(close));
  }
  return fmt::format("{} … (in full above)", first_words(document));
}

std::string reference_to_title(std::string_view title) {
  return title.empty() ? "(A document that stands in full above.)"
                       : fmt::format("({}: a document that stands in full above.)", title);
}

}  // namespace payonce::prefix
