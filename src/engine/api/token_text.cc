#include "engine/api/token_text.h"

#include <algorithm>
#include <cmath>

namespace payonce::engine {
namespace {
namespace json = boost::json;

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// Bytes of the character at the start of `bytes`; 0: there is none. RFC 3629, section 4: no overlong forms, no
// surrogates, nothing above U+10FFFF.
size_t character_size(std::string_view bytes) {
  const auto lead = static_cast<unsigned char>(bytes[0]);
  if (lead < 0x80) return 1;
  const size_t size = lead >= 0xC2 && lead <= 0xDF   ? 2
                      : (lead & 0xF0) == 0xE0        ? 3
                      : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                     : 0;
  if (size == 0 || bytes.size() < size) return 0;
  for (size_t i = 1; i < size; ++i)
    if (!is_continuation(bytes[i])) return 0;
  const auto second = static_cast<unsigned char>(bytes[1]);
  if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) || (lead == 0xF0 && second < 0x90) ||
      (lead == 0xF4 && second > 0x8F))
    return 0;
  return size;
}

json::object entry(const VocabPort& vocab, const TokenLogprob& of) {
  const std::string bytes = vocab.piece(of.token, true);
  json::array numbers;
  for (const char c : bytes) numbers.push_back(static_cast<unsigned char>(c));
  return {{"token", valid_utf8(bytes)}, {"logprob", finite(of.logprob)}, {"bytes", std::move(numbers)}};
}

}  // namespace

std::string valid_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const size_t size = character_size(bytes);
    if (size == 0)
      out += "\xEF\xBF\xBD";
    else
      out += bytes.substr(0, size);
    bytes.remove_prefix(std::max<size_t>(size, 1));
  }
  return out;
}

size_t characters(std::string_view bytes) {
  return static_cast<size_t>(std::count_if(bytes.begin(), bytes.end(), [](char c) { return !is_continuation(c); }));
}

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
