#include "route/routes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/wildcard.h"

namespace payonce::route {
namespace {

// 0: does not serve it; then the more exact, the higher.
int specificity(const Upstream& upstream, std::string_view model) {
  if (upstream.models.empty() || model.empty()) return 1;
  int best = 0;
  for (const std::string& pattern : upstream.models)
    if (matches_pattern(pattern, model))
      best = std::max(best, pattern == "*" ? 1 : pattern.find('*') == std::string::npos ? 3 : 2);
  return best;
}

std::string known_models(const std::vector<UpstreamPtr>& upstreams) {
  std::vector<std::string> names;
  for (const UpstreamPtr& upstream : upstreams)
    names.insert(names.end(), upstream->models.begin(), upstream->models.end());
  if (names.size() > 20) names.resize(20);
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

UpstreamKind wire_of(llm::Dialect dialect) {
  return llm::is_anthropic(dialect) ? UpstreamKind::kAnthropic : UpstreamKind::kOpenAi;
}

bool matches_pattern(std::string_view pattern, std::string_view text) {
  return base::matches_wildcard(pattern, text);
}

base::Result<std::vector<UpstreamPtr>> Routes::choose(std::string_view model, UpstreamKind wire) const {
  if (upstreams_.empty())
    return base::fail(base::Code::kUnavailable,
                      "no upstream is configured; start with --upstream URL or add [upstreams.NAME]");
  std::vector<UpstreamPtr> out;
  int best = 0;
  for (const UpstreamPtr& upstream : upstreams_) {
    const int exact = specificity(*upstream, model);
    if (exact == 0) continue;
    const int rank = exact + (upstream->kind == wire ? 10 : 0);
    if (rank < best) continue;
    if (rank > best) out.clear();
    best = rank;
    out.push_back(upstream);
  }
  if (out.empty())
    return base::fail(base::Code::kNotFound,
                      fmt::format("no upstream serves model '{}'; configured: {}", model, known_models(upstreams_)));
  if (model.empty()) out.resize(1);
  return out;
}

}  // namespace payonce::route
