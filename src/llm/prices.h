// List prices by model and day, USD per million tokens, and the cost of a usage.  Threads: read-only after load.
// A price has a first day, since providers announce changes ahead; tiers, since long prompts cost more per token; and
// modifiers. A usage must be priced with the day of its request, not with today's table.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "llm/response.h"

namespace payonce::llm {

struct Price {  // USD per 1,000,000 tokens
  double input = 0;
  double output = 0;
  double cache_read = 0;
  double cache_write_short = 0;
  double cache_write_long = 0;

  double input_usd(const Usage& usage) const;  // of the four classes of its input
  double usd(const Usage& usage) const;        // and of its output
};

// What a request asked for beyond the model.
struct PriceModifiers {
  bool batch = false;    // through the provider's batch API
  bool us_only = false;  // Anthropic's inference_geo "us"
};

// All prices of one model in one period.
struct PriceRow {
  struct Tier {
    int64_t above_tokens = 0;  // a prompt with more input tokens (all classes together) costs `price`, all of it
    Price price;
  };
  int64_t from_ms = INT64_MIN;  // Unix time of the first day, 0 h UTC; INT64_MIN: since ever
  Price standard;
  std::vector<Tier> tiers;  // ascending
  Price batch_factor{1, 1, 1, 1, 1};
  double us_only_factor = 1;

  // `input_tokens`: the whole prompt, which decides the tier.
  Price at(int64_t input_tokens, PriceModifiers modifiers = {}) const;
};

class PriceTable {
 public:
  static PriceTable built_in();              // embedded data file, see data/README.md
  void set(std::string model, Price price);  // configuration overrides: on every day, without tiers or modifiers
  // The row of that day. Exact name, else without a provider prefix ("openai/gpt-…") or a date suffix; null when
  // unknown (costs 0). The pointer lives until the next set().
  const PriceRow* find(std::string_view model, int64_t unix_ms) const;
  double cost_usd(std::string_view model, const Usage& usage, int64_t unix_ms, PriceModifiers modifiers = {}) const;
  std::vector<std::string> models() const;  // by name

 private:
  std::map<std::string, std::vector<PriceRow>, std::less<>> prices_;  // rows ascending by from_ms, the first: ever
};

// 0 h UTC of "YYYY-MM-DD" as Unix time in ms; kInvalid for anything else.
base::Result<int64_t> day_unix_ms(std::string_view date);

}  // namespace payonce::llm
