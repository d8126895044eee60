// Files for `payonce lint`, recorded calls or templates as their bytes say: every finding points into its text.
#include <string>

#include "fuzz.h"
#include "lint/input.h"
#include "lint/run.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace payonce;
  static const llm::PriceTable prices = llm::PriceTable::built_in();
  const std::string_view text = fuzz::text(data, size);
  const size_t half = text.find('\xff');
  lint::Input input = lint::read_texts({{"a.jsonl", text.substr(0, half)}, {"b.txt", text}});
  const lint::Result result = lint::run(input, prices, {.kinds = {}, .limits = {}, .facts_of = nullptr});
  for (const lint::Told& told : result.findings)
    PAYONCE_FUZZ_CHECK(told.finding.byte_offset + told.finding.bytes <= told.body.size());
  return 0;
}
