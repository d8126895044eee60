// Bodies of /v1/embeddings: what callers send us, and what a remote embedder answers. One vector a text, or an error.
#include <string>
#include <vector>

#include "embed/api/embeddings_request.h"
#include "embed/base64.h"
#include "embed/remote_answer.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace payonce::embed;
  const std::string_view text = payonce::fuzz::text(data, size);
  if (const auto request = read_embeddings_request(text, 8)) {
    PAYONCE_FUZZ_CHECK(!request->inputs.empty() && request->dimensions >= 1 && request->dimensions <= 8);
    for (const std::string& input : request->inputs) PAYONCE_FUZZ_CHECK(!input.empty());
  }
  for (const int32_t dimensions : {1, 3}) {
    const auto answer = read_embeddings_answer(text, {"a", "b"}, dimensions);
    if (!answer) continue;
    PAYONCE_FUZZ_CHECK(answer->size() == 2);
    for (const Embedding& one : *answer) PAYONCE_FUZZ_CHECK(one.vector.size() == static_cast<size_t>(dimensions));
  }
  PAYONCE_FUZZ_CHECK(!error_of_answer(500, text).message.empty());
  if (const auto numbers = floats_of_base64(text)) {
    const auto again = floats_of_base64(base64_of_floats(*numbers));
    PAYONCE_FUZZ_CHECK(again && again->size() == numbers->size());
  }
  return 0;
}
