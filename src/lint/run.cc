#include "lint/run.h"

#include <algorithm>
#include <numeric>

#include "lint/static_rules.h"

namespace payonce::lint {
namespace {

// The rows in the order of time where all of them tell it.
std::vector<size_t> order_of(const std::vector<Row>& rows) {
  std::vector<size_t> out(rows.size());
  std::iota(out.begin(), out.end(), size_t{0});
  const bool timed = std::all_of(rows.begin(), rows.end(), [](const Row& row) { return row.meta.unix_ms > 0; });
  if (timed)
    std::stable_sort(out.begin(), out.end(),
                     [&](size_t a, size_t b) { return rows[a].meta.unix_ms < rows[b].meta.unix_ms; });
  return out;
}

std::string_view body_of(const Row& row) { return row.decoded.empty() ? row.request : std::string_view(row.decoded); }

}  // namespace

Result run(Input& input, const llm::PriceTable& prices, const Options& options) {
  Result out;
  prefix::Detector detector(prices, options.limits, options.facts_of);
  std::vector<size_t> observed;  // rows, in the order in which the detector saw them
  const auto tell = [&](prefix::Finding finding, size_t file, size_t line, std::string_view body) {
    const bool wanted = options.kinds.empty() ||
                        std::find(options.kinds.begin(), options.kinds.end(), finding.kind) != options.kinds.end();
    if (wanted) out.findings.push_back({std::move(finding), file, line, body});
  };
  for (const size_t index : order_of(input.rows)) {
    const Row& row = input.rows[index];
    auto request = llm::parse_request(row.dialect, base::Bytes::unowned(body_of(row)));
    if (!request) {
      input.skipped.push_back({input.files[row.file].name, row.line, request.error().message});
      continue;
    }
    if (input.files[row.file].rows == 1)
      for (prefix::Finding& finding : static_findings(*request)) {
        finding.request = index;
        tell(std::move(finding), row.file, row.line, body_of(row));
      }
    prefix::CallMeta meta = row.meta;
    read_response(row, meta);
    observed.push_back(index);
    detector.observe(std::move(*request), meta);
  }
  out.requests = observed.size();
  for (prefix::Finding& finding : detector.findings()) {
    const Row& row = input.rows[observed[finding.request]];
    finding.request = observed[finding.request];
    tell(std::move(finding), row.file, row.line, body_of(row));
  }
  for (size_t file = 0; file < input.files.size(); ++file)
    if (input.files[file].is_template)
      for (prefix::Finding& finding : template_findings(*input.files[file].text)) {
        const auto line = static_cast<size_t>(std::strtoul(finding.path.c_str() + 5, nullptr, 10));
        tell(std::move(finding), file, line, *input.files[file].text);
      }
  std::stable_sort(out.findings.begin(), out.findings.end(),
                   [](const Told& a, const Told& b) { return a.finding.cost_usd > b.finding.cost_usd; });
  return out;
}

}  // namespace payonce::lint
