// Whatever requests come, in whatever order and at whatever times, the detector reads them without harm, keeps to its
// limits, and points inside the bodies. The input is rows: a control byte, then the body up to a newline.
#include <string>
#include <vector>

#include "fuzz.h"
#include "prefix/breakers/detector.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace payonce;
  static const llm::PriceTable prices = llm::PriceTable::built_in();
  constexpr llm::Dialect kDialects[] = {llm::Dialect::kAnthropicMessages, llm::Dialect::kOpenAiChat,
                                        llm::Dialect::kOpenAiResponses};
  prefix::Detector detector(prices, {.memory_bytes = 1 << 20, .conversations = 8, .sites = 4});
  std::vector<size_t> sizes;
  std::string_view rest = fuzz::text(data, size);
  int64_t now = 1'772'546'709'000;
  while (!rest.empty() && sizes.size() < 32) {
    const auto control = static_cast<uint8_t>(rest.front());
    const std::string_view line = rest.substr(1, rest.find('\n', 1) - 1);
    rest.remove_prefix(std::min(rest.size(), line.size() + 2));
    auto request = llm::parse_request(kDialects[control % 3], base::Bytes::copy(line));
    if (!request) continue;
    now += int64_t{control} * control * 50;
    sizes.push_back(line.size());
    detector.observe(std::move(*request),
                     {.unix_ms = control % 7 == 0 ? 0 : now,
                      .latency_ms = control,
                      .session = control % 4 == 0 ? "" : std::string(1, static_cast<char>('a' + control % 4)),
                      .provider = control % 32 == 31 ? "other" : "",
                      .answer = std::string(line)});
  }
  PAYONCE_FUZZ_CHECK(detector.requests() == sizes.size());
  for (const prefix::Finding& finding : detector.findings()) {
    PAYONCE_FUZZ_CHECK(finding.request < sizes.size());
    PAYONCE_FUZZ_CHECK(finding.byte_offset + finding.bytes <= sizes[finding.request]);
    PAYONCE_FUZZ_CHECK(finding.cost_usd >= 0 && finding.occurrences > 0);
  }
  return 0;
}
