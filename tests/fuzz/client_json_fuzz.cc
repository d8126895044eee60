// The C client's reading of an answer, beside our own: what it takes for an object with a member, the tape does too,
// and they find the same bytes and the same text.
#include <cstdlib>
#include <string>

#include "fuzz.h"
#include "llm/json_tape.h"

extern "C" {
#include "json.h"
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using payonce::llm::JsonType;
  using payonce::llm::Tape;
  const std::string_view text = payonce::fuzz::text(data, size);
  const auto tape = Tape::parse(text);
  pc_span found{};
  const bool is_object = pc_json_member(text.data(), text.size(), "a", &found) == 0;
  // The tape is stricter in one thing (UTF-8), and wants less depth.
  if (tape && (*tape)[0].type == JsonType::kObject) PAYONCE_FUZZ_CHECK(is_object);
  if (!tape) return 0;
  PAYONCE_FUZZ_CHECK(is_object == ((*tape)[0].type == JsonType::kObject));
  if (!is_object) return 0;
  char* decoded = pc_json_text(found);
  if (decoded != nullptr) {
    PAYONCE_FUZZ_CHECK(found.size >= 2 && std::string_view(decoded).size() <= found.size);
    const std::string copy = std::string(found.at, found.size);
    const auto again = Tape::parse(copy);
    PAYONCE_FUZZ_CHECK(again && again->decoded(copy, 0) == decoded);
    std::free(decoded);
  }
  return 0;
}
