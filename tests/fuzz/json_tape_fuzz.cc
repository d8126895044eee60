// The tape against simdjson: both accept a text, or both refuse it, and they read the same values.
#include <simdjson.h>

#include <string>

#include "fuzz.h"
#include "llm/json_tape.h"

namespace {

using payonce::llm::JsonType;
using payonce::llm::Tape;

// Writes both readings in one form: type, decoded strings, raw numbers.
void describe(const Tape& tape, std::string_view text, uint32_t node, std::string& out) {
  const auto& at = tape[node];
  switch (at.type) {
    case JsonType::kObject:
    case JsonType::kArray: {
      const bool object = at.type == JsonType::kObject;
      out += object ? '{' : '[';
      uint32_t child = node + 1;
      for (uint32_t i = 0; i < at.children; ++i) {
        if (object) out += tape.decoded(text, child++) + ":";
        describe(tape, text, child, out);
        out += ',';
        child = tape[child].next;
      }
      PAYONCE_FUZZ_CHECK(child == at.next);
      out += object ? '}' : ']';
      return;
    }
    case JsonType::kString: out += '"' + tape.decoded(text, node); return;
    case JsonType::kNumber: out += '#'; return;
    default: out += tape.raw(text, node);
  }
}

void describe(const simdjson::dom::element& value, std::string& out) {
  using simdjson::dom::element_type;
  switch (value.type()) {
    case element_type::OBJECT:
      out += '{';
      for (const auto field : simdjson::dom::object(value)) {
        out += std::string(field.key) + ":";
        describe(field.value, out);
        out += ',';
      }
      out += '}';
      return;
    case element_type::ARRAY:
      out += '[';
      for (const auto element : simdjson::dom::array(value)) {
        describe(element, out);
        out += ',';
      }
      out += ']';
      return;
    case element_type::STRING: out += '"' + std::string(std::string_view(value)); return;
    case element_type::BOOL: out += bool(value) ? "true" : "false"; return;
    case element_type::NULL_VALUE: out += "null"; return;
    default: out += '#';
  }
}

// Where the two differ by design: a lone surrogate escape is grammar (RFC 8259 7) that simdjson refuses, as it
// refuses numbers out of range; our depth limit is lower.
bool may_differ(std::string_view text, simdjson::error_code error) {
  return error == simdjson::NUMBER_ERROR || error == simdjson::STRING_ERROR ||
         error == simdjson::NUMBER_OUT_OF_RANGE || text.find("\\u") != std::string_view::npos;
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = payonce::fuzz::text(data, size);
  static simdjson::dom::parser parser;
  const simdjson::padded_string padded(text);
  simdjson::dom::element root;
  const simdjson::error_code error = parser.parse(padded).get(root);
  const auto tape = Tape::parse(text);
  if (!tape) {
    const bool too_deep = tape.error().message.find("nested deeper") != std::string::npos;
    // simdjson skips a byte order mark; RFC 8259 8.1 lets a parser refuse it.
    PAYONCE_FUZZ_CHECK(error != simdjson::SUCCESS || too_deep || text.starts_with("\xef\xbb\xbf"));
    return 0;
  }
  if (error != simdjson::SUCCESS) {
    PAYONCE_FUZZ_CHECK(may_differ(text, error));
    return 0;
  }
  std::string ours, theirs;
  describe(*tape, text, 0, ours);
  describe(root, theirs);
  PAYONCE_FUZZ_CHECK(ours == theirs);
  return 0;
}
