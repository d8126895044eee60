#include "semantic/verifier/words.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "semantic/verifier/text.h"

namespace payonce::semantic {
namespace {

using base::is_digit;
using base::is_upper;

bool is_word(char c) { return is_digit(c) || base::is_utf8_letter(c); }

// Typographic apostrophes, dashes and blanks become their ASCII forms.
std::string plain(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, char>, 8> kForms = {{{"\xe2\x80\x98", '\''},
                                                                               {"\xe2\x80\x99", '\''},
                                                                               {"\xe2\x80\x9c", '"'},
                                                                               {"\xe2\x80\x9d", '"'},
                                                                               {"\xe2\x80\x93", '-'},
                                                                               {"\xe2\x80\x94", ' '},
                                                                               {"\xe2\x80\xa6", ' '},
                                                                               {"\xc2\xa0", ' '}}};
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto form =
        std::find_if(kForms.begin(), kForms.end(), [&](const auto& f) { return text.starts_with(f.first); });
    const bool found = !base::is_ascii(text[0]) && form != kForms.end();
    out.push_back(found ? form->second : text[0]);
    text.remove_prefix(found ? form->first.size() : 1);
  }
  return out;
}

bool joins(char c, bool digits, bool next_to_digit) {
  if (c == '\'' || c == '_' || c == '@') return true;
  if (c == '.') return true;
  return (c == ',' || c == ':' || c == '-' || c == '/') && (digits || next_to_digit);
}

// The end of the word that begins at `at`.
size_t word_end(const std::string& text, size_t at) {
  bool digits = false;
  size_t end = at;
  for (; end < text.size(); ++end) {
    const char c = text[end];
    if (is_word(c)) {
      digits = digits || is_digit(c);
      continue;
    }
    const bool inside = end > at && end + 1 < text.size() && is_word(text[end + 1]);
    if (!inside || !joins(c, digits, is_digit(text[end + 1]))) break;
    // A full stop between words ("India.How") is a typing error, not a name, unless what follows is in lower case.
    if (c == '.' && !digits && is_upper(text[end + 1])) break;
    // "1,000" is a number, "1,and" is not; "what-2" begins no number.
    if (c == ',' && !(is_digit(text[end - 1]) && is_digit(text[end + 1]))) break;
  }
  while (end < text.size() && (text[end] == '+' || text[end] == '#') && end - at <= 2) ++end;  // C++, C#
  return end;
}

std::string lowered(std::string_view word) {
  std::string out;
  const bool grouped =
      std::all_of(word.begin(), word.end(), [](char c) { return is_digit(c) || c == ',' || c == '.'; });
  for (const char c : word)
    if (!(grouped && c == ',')) out.push_back(base::lower(c));
  return out;
}

RawWord raw_word(std::string_view word, bool begins) {
  RawWord out{.form = lowered(word), .capital = is_upper(word[0]), .upper = word.size() > 1, .begins = begins};
  for (const char c : word) out.upper = out.upper && (is_upper(c) || is_digit(c) || c == '.');
  out.upper = out.upper && is_upper(word[0]);
  return out;
}

}  // namespace

RawText split_words(std::string_view bytes) {
  RawText out;
  out.complete = bytes.size() <= kMaxTextBytes;
  const std::string text = plain(bytes.substr(0, kMaxTextBytes));
  bool begins = true;
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    const bool signs = (c == '-' || c == '.') && at + 1 < text.size() && is_digit(text[at + 1]) &&
                       (at == 0 || text[at - 1] == ' ' || text[at - 1] == '(');  // "-5" is not "5", nor is ".5"
    if (!is_word(c) && !signs) {
      const bool ends = (c == '.' || c == '?' || c == '!' || c == '\n' || c == ':' || c == '"' || c == ';');
      begins = begins || ends;
      if (c == '%') out.words.push_back({.form = "percent"});
      if (c == '&') out.words.push_back({.form = "and"});
      ++at;
      continue;
    }
    if (out.words.size() >= kMaxWords) {
      out.complete = false;
      break;
    }
    const size_t end = word_end(text, at + (signs ? 1 : 0));
    out.sentences += begins ? 1 : 0;
    out.words.push_back(raw_word(std::string_view(text).substr(at, end - at), begins));
    begins = false;
    at = end;
  }
  return out;
}

std::string stem_of(std::string_view form) {
  std::string s(form);
  const auto ends = [&](std::string_view end, size_t least) {
    return s.size() >= least + end.size() && s.ends_with(end);
  };
  if (ends("ies", 2)) {
    s.replace(s.size() - 3, 3, "y");
  } else if (ends("sses", 1) || ends("ches", 2) || ends("shes", 2) || ends("xes", 2)) {
    s.resize(s.size() - 2);
  } else if (ends("s", 3) && !ends("ss", 1) && !ends("us", 1) && !ends("is", 1)) {
    s.pop_back();
  }
  bool cut = false;
  if (ends("ing", 3) || (cut = ends("ed", 3))) {
    s.resize(s.size() - (cut ? 2 : 3));
    if (s.size() > 3 && s.back() == s[s.size() - 2] && s.back() != 'l' && s.back() != 's') s.pop_back();
  } else if (ends("ly", 4)) {
    s.resize(s.size() - 2);
  }
  if (s.size() > 4 && s.back() == 'e') s.pop_back();
  if (s.size() > 3 && s.back() == 'i') s.back() = 'y';
  return s;
}

}  // namespace payonce::semantic
