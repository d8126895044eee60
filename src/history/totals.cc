#include "history/totals.h"

namespace payonce::history {
namespace {

int64_t day_of(const Call& call) { return call.at_ms > 0 ? call.at_ms : INT64_MAX; }

}  // namespace

double cost_usd(const Call& call, const llm::PriceTable& prices) {
  if (call.from_cache) return 0;
  return prices.cost_usd(call.model, call.usage, day_of(call), {.batch = call.batch});
}

double uncached_usd(const Call& call, const llm::PriceTable& prices) {
  if (call.from_cache) return 0;
  llm::Usage usage = call.usage;
  usage.fresh = usage.input();
  usage.read = usage.write_short = usage.write_long = 0;
  return prices.cost_usd(call.model, usage, day_of(call), {.batch = call.batch});
}

Totals totals(const Log& log, const llm::PriceTable& prices) {
  Totals out;
  for (const Call& call : log.calls) {
    ++out.requests;
    if (call.billed_usd > 0) out.billed_usd += call.billed_usd;
    if (call.from_cache) {
      ++out.from_cache;
      continue;
    }
    if (!call.usage.known) ++out.without_usage;
    if (prices.find(call.model, day_of(call)) == nullptr) ++out.unpriced;
    out.usage.fresh += call.usage.fresh;
    out.usage.read += call.usage.read;
    out.usage.write_short += call.usage.write_short;
    out.usage.write_long += call.usage.write_long;
    out.usage.output += call.usage.output;
    out.usage.known = out.usage.known || call.usage.known;
    out.usage.read_known = out.usage.read_known || call.usage.read_known;
    out.output_is_floor = out.output_is_floor || call.output_is_floor;
    out.cost_usd += cost_usd(call, prices);
    out.uncached_usd += uncached_usd(call, prices);
  }
  return out;
}

}  // namespace payonce::history
