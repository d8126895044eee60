// A request of any dialect (Gemini's has a target, the first line): the question that is found is the string that it
// points at. And any bytes as server-sent events: each event is a piece of them, in order.
#include <algorithm>
#include <string>

#include "fuzz.h"
#include "llm/question.h"
#include "llm/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace payonce::llm;
  if (size < 1) return 0;
  const auto dialect = static_cast<Dialect>(data[0] % (static_cast<uint8_t>(Dialect::kOther) + 1));
  const std::string_view text = payonce::fuzz::text(data + 1, size - 1);
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string target(text.substr(0, end));
  const std::string body(text.substr(std::min(end + 1, text.size())));
  if (const auto request = parse_request(dialect, payonce::base::Bytes(body), target)) {
    if (const auto question = question_of(*request)) {
      PAYONCE_FUZZ_CHECK(request->tape[question->node].type == JsonType::kString);
      PAYONCE_FUZZ_CHECK(request->tape.decoded(body, question->node) == question->text);
    }
  }

  std::string_view rest = text;
  SseEvent event;
  while (true) {
    const std::string_view before = rest;
    if (!next_event(rest, event)) break;
    PAYONCE_FUZZ_CHECK(rest.size() < before.size() && before.starts_with(event.raw) && !event.raw.empty());
    PAYONCE_FUZZ_CHECK(event.data.size() <= event.raw.size());
  }
  return 0;
}
