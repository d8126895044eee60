// List prices by model and date, USD per million tokens, and the cost of a usage.  Threads: read-only after load.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "llm/response.h"

namespace payonce::llm {

struct Price {  // USD per 1,000,000 tokens
  double input = 0;
  double output = 0;
  double cache_read = 0;
  double cache_write_short = 0;
  double cache_write_long = 0;
};

class PriceTable {
 public:
  static PriceTable built_in();              // embedded data file, see data/prices.README
  void set(std::string model, Price price);  // configuration overrides
  // Exact name, else without a provider prefix ("openai/gpt-…") or a date suffix; null when unknown (costs 0).
  const Price* find(std::string_view model) const;
  double cost_usd(std::string_view model, const Usage& usage) const;

 private:
  std::map<std::string, Price, std::less<>> prices_;
};

}  // namespace payonce::llm
