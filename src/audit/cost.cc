// What a call cost, would have cost uncached, and would have cost with Payonce in front.
#include "audit/report.h"

namespace payonce::audit {

Money& Money::operator+=(const Money& other) {
  uncached += other.uncached;
  actual += other.actual;
  with += other.with;
  return *this;
}

const llm::PriceRow* price_row(const history::Call& call, const llm::PriceTable& prices) {
  return prices.find(call.model, call.at_ms > 0 ? call.at_ms : INT64_MAX);
}

CallCost cost_of(const history::Call& call, const Replayed& replayed, const llm::PriceTable& prices) {
  CallCost out;
  const llm::PriceRow* row = price_row(call, prices);
  if (row == nullptr) return out;
  out.priced = true;
  const llm::Price price = row->at(replayed.actual.input(), {.batch = call.batch});
  llm::Usage uncached = replayed.actual;
  uncached.fresh = uncached.input();
  uncached.read = uncached.write_short = uncached.write_long = 0;
  out.input.uncached = price.input_usd(uncached);
  out.all.uncached = price.usd(uncached);
  if (call.from_cache) return out;
  out.input.actual = price.input_usd(replayed.actual);
  out.input.with = price.input_usd(replayed.with);
  out.all.actual = price.usd(replayed.actual);
  out.all.with = price.usd(replayed.with);
  return out;
}

}  // namespace payonce::audit
