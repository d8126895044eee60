#include "engine/text_stream.h"

#include <algorithm>
#include <utility>

#include "base/utf8.h"

namespace payonce::engine {
namespace {

// Where an unfinished character at the end of `text` begins; text.size() if there is none.
size_t unfinished_from(std::string_view text) {
  for (size_t back = 1; back <= std::min<size_t>(3, text.size()); ++back) {
    const size_t at = text.size() - back;
    if (base::continues_character(text[at])) continue;
    return base::is_unfinished_character(text.substr(at)) ? at : text.size();
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
  return base::character_start(held_, end);
}

Piece TextStream::take(bool last) {
  Piece out{.choice = choice_, .text = {}, .tokens = {}, .logprobs = {}, .likeliest = {}};
  const size_t end = last ? held_.size() : releasable();
  out.text = base::with_replacements(std::string_view(held_).substr(0, end));
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
