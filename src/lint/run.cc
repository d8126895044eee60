#include "lint/run.h"

#include <algorithm>
#include <numeric>

#include "lint/static_rules.h"
#include "llm/json_tape.h"

namespace payonce::lint {
namespace {

using history::Call;

// The calls in the order of time where all of them tell it.
std::vector<size_t> order_of(const std::vector<Call>& calls) {
  std::vector<size_t> out(calls.size());
  std::iota(out.begin(), out.end(), size_t{0});
  const bool timed = std::all_of(calls.begin(), calls.end(), [](const Call& call) { return call.at_ms > 0; });
  if (timed)
    std::stable_sort(out.begin(), out.end(), [&](size_t a, size_t b) { return calls[a].at_ms < calls[b].at_ms; });
  return out;
}

// The answer as one JSON object; "" if there is none.
std::string answer_of(const Call& call) {
  const bool stream = call.response.starts_with("event:") || call.response.starts_with("data:");
  std::string answer(call.response);
  if (stream) {
    auto whole = llm::to_json(call.dialect, call.response);
    answer = whole ? std::move(*whole) : std::string();
  }
  const auto tape = llm::Tape::parse(answer);
  return tape && (*tape)[0].type == llm::JsonType::kObject ? answer : std::string();
}

prefix::CallMeta meta_of(const Call& call) {
  return {.unix_ms = call.at_ms,
          .latency_ms = call.latency_ms,
          .first_byte_ms = call.first_ms,
          .session = std::string(call.session),
          .provider = std::string(call.provider),
          .usage = call.usage,
          .answer = answer_of(call)};
}

}  // namespace

Result run(Input& input, const llm::PriceTable& prices, const Options& options) {
  Result out;
  prefix::Detector detector(prices, options.limits, options.facts_of);
  std::vector<size_t> observed;  // calls, in the order in which the detector saw them
  const auto tell = [&](prefix::Finding finding, std::string_view file, size_t line, std::string_view body) {
    const bool wanted = options.kinds.empty() ||
                        std::find(options.kinds.begin(), options.kinds.end(), finding.kind) != options.kinds.end();
    if (wanted) out.findings.push_back({std::move(finding), file, line, body});
  };
  const std::vector<Call>& calls = input.log.calls;
  for (const size_t index : order_of(calls)) {
    const Call& call = calls[index];
    if (call.request.empty()) continue;
    const history::File& file = input.log.files[call.file];
    auto request = llm::parse_request(call.dialect, base::Bytes::unowned(call.request));
    if (!request) {
      input.skip(file.name, call.line, request.error().message);
      continue;
    }
    if (file.calls == 1)
      for (prefix::Finding& finding : static_findings(*request)) {
        finding.request = index;
        tell(std::move(finding), file.name, call.line, call.request);
      }
    observed.push_back(index);
    detector.observe(std::move(*request), meta_of(call));
  }
  out.requests = observed.size();
  for (prefix::Finding& finding : detector.findings()) {
    const Call& call = calls[observed[finding.request]];
    finding.request = observed[finding.request];
    tell(std::move(finding), input.log.files[call.file].name, call.line, call.request);
  }
  for (const Template& one : input.templates)
    for (prefix::Finding& finding : template_findings(one.text)) {
      const auto line = static_cast<size_t>(std::strtoul(finding.path.c_str() + 5, nullptr, 10));
      tell(std::move(finding), one.name, line, one.text);
    }
  std::stable_sort(out.findings.begin(), out.findings.end(),
                   [](const Told& a, const Told& b) { return a.finding.cost_usd > b.finding.cost_usd; });
  return out;
}

}  // namespace payonce::lint
