// A record of the question log, of any bytes: what is taken is written again as the same bytes.
#include "fuzz.h"
#include "semantic/question_log.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace payonce;
  const auto question = semantic::decode_question(fuzz::text(data, size));
  if (!question) return 0;
  const auto again = semantic::decode_question(semantic::encode_question(*question));
  PAYONCE_FUZZ_CHECK(again.has_value());
  PAYONCE_FUZZ_CHECK(again->key == question->key && again->question == question->question);
  PAYONCE_FUZZ_CHECK(again->embedding.token_ids == question->embedding.token_ids);
  PAYONCE_FUZZ_CHECK(again->embedding.vector.size() == question->embedding.vector.size());
  return 0;
}
