#include "engine/text_stream.h"

#include <algorithm>
#include <utility>

namespace payonce::engine {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// Bytes of the character that begins with `first`; 1 for bytes that begin none.
size_t character_bytes(unsigned char first) {
  if (first >= 0xF0 && first <= 0xF4) return 4;
  if (first >= 0xE0) return first <= 0xEF ? 3 : 1;
  return first >= 0xC2 ? 2 : 1;
}

bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

// Length of the character at `at` if it is whole and well formed, 0 if more bytes may come, npos if it is damaged.
size_t whole_character(std::string_view text, size_t at) {
  const auto first = static_cast<unsigned char>(text[at]);
  if (first < 0x80) return 1;
  const size_t size = character_bytes(first);
  if (size == 1) return std::string_view::npos;
  for (size_t i = 1; i < size; ++i) {
    if (at + i == text.size()) return 0;
    if (!is_continuation(text[at + i])) return std::string_view::npos;
  }
  const auto second = static_cast<unsigned char>(text[at + 1]);
  const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
  const bool surrogate_or_beyond = (first == 0xED && second > 0x9F) || (first == 0xF4 && second > 0x8F);
  return overlong || surrogate_or_beyond ? std::string_view::npos : size;
}

// Well-formed UTF-8 of `text`; damaged bytes and an unfinished end become U+FFFD.
std::string repaired(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t size = whole_character(text, at);
    if (size == 0) {
      out += kReplacement;
      break;
    }
    if (size == std::string_view::npos) {
      out += kReplacement;
      ++at;
      continue;
    }
    out.append(text.substr(at, size));
    at += size;
  }
  return out;
}

// Where an unfinished character at the end of `text` begins; text.size() if there is none.
size_t unfinished_from(std::string_view text) {
  for (size_t back = 1; back <= std::min<size_t>(3, text.size()); ++back) {
    const size_t at = text.size() - back;
    if (is_continuation(text[at])) continue;
    return whole_character(text, at) == 0 ? at : text.size();
  }
  return text.size();
}

}  // namespace

bool TextStream::add(GeneratedToken token, bool may_stop) {
  held_ += token.text;
  waiting_.push_back({std::move(token), held_.size()});
  if (!may_stop) {
    search_from_ = held_.size();
    return false;
  }
  size_t first = std::string::npos;
  for (const std::string& stop : stops_) {
    const size_t at = held_.find(stop, search_from_);
    if (at >= first) continue;
    first = at;
    stop_string_ = stop;
  }
  if (first == std::string::npos) return false;
  held_.resize(first);
  for (Waiting& each : waiting_) each.end = std::min(each.end, first);
  return true;
}

// How much of what is held can no longer become part of a stop string, in whole characters.
size_t TextStream::releasable() const {
  size_t end = unfinished_from(held_);
  for (const std::string& stop : stops_) {
    const size_t longest = std::min(stop.size() - 1, held_.size() - std::min(search_from_, held_.size()));
    for (size_t size = longest; size > 0; --size) {
      if (!std::string_view(held_).ends_with(std::string_view(stop).substr(0, size))) continue;
      end = std::min(end, held_.size() - size);
      break;
    }
  }
  while (end > 0 && end < held_.size() && is_continuation(held_[end])) --end;
  return end;
}

Piece TextStream::take(bool last) {
  Piece out{.choice = choice_, .text = {}, .tokens = {}, .logprobs = {}, .likeliest = {}};
  const size_t end = last ? held_.size() : releasable();
  out.text = repaired(std::string_view(held_).substr(0, end));
  while (!waiting_.empty() && (last || waiting_.front().end <= end)) {
    GeneratedToken& token = waiting_.front().token;
    out.tokens.push_back(token.token);
    if (logprobs_) {
      out.logprobs.push_back({token.token, token.logprob});
      out.likeliest.push_back(std::move(token.likeliest));
    }
    waiting_.pop_front();
  }
  held_.erase(0, end);
  search_from_ = search_from_ > end ? search_from_ - end : 0;
  for (Waiting& each : waiting_) each.end = each.end > end ? each.end - end : 0;
  return out;
}

}  // namespace payonce::engine
