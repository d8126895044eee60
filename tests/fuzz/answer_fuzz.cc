// An upstream's answer is read without harm whatever it holds; one that is complete can be re-framed, and what we
// make of it is complete again.
#include <string>

#include "fuzz.h"
#include "llm/response.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace payonce::llm;
  if (size < 2) return 0;
  const auto dialect = static_cast<Dialect>(data[0] % (static_cast<uint8_t>(Dialect::kOther) + 1));
  const Form form = data[1] % 2 == 0 ? Form::kJson : Form::kStream;
  const std::string_view body = payonce::fuzz::text(data + 2, size - 2);
  const Analysis analysis = analyse(dialect, form, body);
  PAYONCE_FUZZ_CHECK(analysis.usage.input() >= 0 && analysis.usage.output >= 0);
  (void)ends_stream(dialect, body);
  if (form == Form::kStream) {
    (void)restream(dialect, body, false);
    if (const auto json = to_json(dialect, body); json && analysis.complete) {
      const Analysis again = analyse(dialect, Form::kJson, *json);
      PAYONCE_FUZZ_CHECK(again.complete);
    }
  } else if (const auto stream = to_stream(dialect, body, true); stream && analysis.complete) {
    (void)analyse(dialect, Form::kStream, *stream);
  }
  return 0;
}
