#include "engine/api/message_stream.h"

#include <utility>

#include "base/hash.h"

namespace payonce::engine {
namespace {

// A parse reads the whole text again. Up to this size that happens with every piece; beyond, only when the text has
// grown by a fixed share of it, so that long answers do not cost quadratic time.
constexpr size_t kParsedAlways_bytes = 16 * 1024;
constexpr size_t kShare = 256;

// Appends to `given` what `next` has more, and gives that; nothing when `next` does not continue it.
std::string grow(std::string& given, const std::string& next) {
  if (next.size() <= given.size() || !next.starts_with(given)) return {};
  std::string added = next.substr(given.size());
  given = next;
  return added;
}

}  // namespace

std::vector<MessageStream::Delta> MessageStream::advance(ChatMessage next) {
  std::vector<Delta> out;
  if (std::string added = grow(given_.reasoning, next.reasoning); !added.empty())
    out.push_back({.kind = Delta::Kind::kReasoning, .text = std::move(added)});
  if (std::string added = grow(given_.content, next.content); !added.empty())
    out.push_back({.kind = Delta::Kind::kContent, .text = std::move(added)});
  for (size_t i = 0; i < next.tool_calls.size(); ++i) {
    if (i == given_.tool_calls.size()) {
      if (next.tool_calls[i].name.empty()) break;  // more of it will come
      given_.tool_calls.push_back({.id = call_prefix_ + base::random_hex(12), .name = next.tool_calls[i].name});
      out.push_back({.kind = Delta::Kind::kCallBegins, .call = i});
    }
    if (std::string added = grow(given_.tool_calls[i].arguments, next.tool_calls[i].arguments); !added.empty())
      out.push_back({.kind = Delta::Kind::kCallArguments, .call = i, .text = std::move(added)});
  }
  return out;
}

std::vector<MessageStream::Delta> MessageStream::take() {
  const size_t grown = text_.size() - parsed_bytes_;
  if (grown == 0 || (text_.size() > kParsedAlways_bytes && grown < text_.size() / kShare)) return {};
  parsed_bytes_ = text_.size();
  return advance(chat_->parse(text_, syntax_.get(), /*partial=*/true));
}

std::vector<MessageStream::Delta> MessageStream::finish(Finish why) {
  if (why == Finish::kLength) {
    // Read as a whole, a call without its end would be plain text; what was given out already says otherwise.
    ChatMessage cut = chat_->parse(text_, syntax_.get(), /*partial=*/true);
    if (!cut.tool_calls.empty() || !given_.tool_calls.empty()) return advance(std::move(cut));
  }
  return advance(chat_->parse(text_, syntax_.get(), /*partial=*/false));
}

}  // namespace payonce::engine
