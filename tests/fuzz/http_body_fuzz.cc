// Chunked bodies of requests and answers: any split of the bytes gives the same result, and both decoders agree on
// what they both accept.
#include <string>

#include "fuzz.h"
#include "net/http1_body.h"
#include "net/response_framing.h"

namespace {

using payonce::net::BodyDecoder;
using payonce::net::Http1Body;

struct Outcome {
  bool done = false;
  std::string body;
  bool operator==(const Outcome&) const = default;
};

Outcome request(std::string_view text, size_t step) {
  Http1Body body = Http1Body::chunked(1 << 20);
  while (!text.empty() && body.state() == Http1Body::State::kMore) {
    const size_t taken = body.feed(text.substr(0, step));
    text.remove_prefix(taken);
    if (taken == 0) break;
  }
  if (body.state() != Http1Body::State::kDone) return {};
  return {true, body.take()};
}

Outcome answer(std::string_view text, size_t step) {
  BodyDecoder decoder = BodyDecoder::chunked();
  Outcome out;
  while (!text.empty() && !decoder.done()) {
    std::string_view piece = text.substr(0, step);
    while (!piece.empty() && !decoder.done()) {
      const auto next = decoder.next(piece);
      if (!next) return {};
      out.body += next->data;
      piece.remove_prefix(next->consumed);
      text.remove_prefix(next->consumed);
    }
  }
  out.done = decoder.done();
  return out.done ? out : Outcome();
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const size_t step = data[0] % 16 + 1;
  const std::string_view text = payonce::fuzz::text(data + 1, size - 1);
  const Outcome whole = request(text, SIZE_MAX);
  PAYONCE_FUZZ_CHECK(whole == request(text, step));
  const Outcome whole_answer = answer(text, SIZE_MAX);
  PAYONCE_FUZZ_CHECK(whole_answer == answer(text, step));
  if (whole.done && whole_answer.done) PAYONCE_FUZZ_CHECK(whole == whole_answer);
  return 0;
}
