// The numbers of a provider's prompt cache that the timing rules need.  Threads: values, pure functions.
#pragma once

#include <cstdint>
#include <string_view>

#include "llm/dialect.h"
#include "prompt_cache/rules.h"

namespace payonce::prefix {

struct ProviderFacts {
  uint32_t minimum_tokens = 1024;  // shorter prefixes are not cached
  uint32_t look_back = 0;          // positions that one breakpoint finds, itself the first; 0: any
  uint32_t max_breakpoints = 4;
  int64_t short_ttl_s = 300, long_ttl_s = 3600;
  double read_factor = 0.1;         // of the input price
  double short_write_factor = 1.0;  // the same
  double long_write_factor = 1.0;
  uint32_t requests_per_minute = 0;     // of one prefix and key, before the provider spills over; 0: no limit
  bool needs_markers = false;           // nothing is cached that the client did not mark
  bool parameters_break_tools = false;  // a changed effort or tool_choice voids tools and system, not only messages
  double input_usd_per_million = 0;     // 0: unknown, findings cost nothing
};

// Of a row of docs/providers.md.
ProviderFacts facts_of(const prompt_cache::Rule& rule);
// For a call of which only the dialect and the model are known.
ProviderFacts default_facts(llm::Dialect dialect, std::string_view model);

}  // namespace payonce::prefix
