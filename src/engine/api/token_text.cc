#include "engine/api/token_text.h"

#include <algorithm>
#include <cmath>

#include "base/utf8.h"

namespace payonce::engine {
namespace {
namespace json = boost::json;

json::object entry(const VocabPort& vocab, const TokenLogprob& of) {
  const std::string bytes = vocab.piece(of.token, true);
  json::array numbers;
  for (const char c : bytes) numbers.push_back(static_cast<unsigned char>(c));
  return {{"token", base::with_replacements(bytes)}, {"logprob", finite(of.logprob)}, {"bytes", std::move(numbers)}};
}

}  // namespace

double finite(float logprob) {
  constexpr double kLowest = -9999;  // OpenAI's word for "never"
  return std::isfinite(logprob) ? static_cast<double>(logprob) : kLowest;
}

json::array chat_logprobs(const VocabPort& vocab, const Piece& piece) {
  json::array out;
  for (size_t i = 0; i < piece.logprobs.size(); ++i) {
    json::object token = entry(vocab, piece.logprobs[i]);
    json::array top;
    if (i < piece.likeliest.size())
      for (const TokenLogprob& other : piece.likeliest[i]) top.push_back(entry(vocab, other));
    token["top_logprobs"] = std::move(top);
    out.push_back(std::move(token));
  }
  return out;
}

}  // namespace payonce::engine
