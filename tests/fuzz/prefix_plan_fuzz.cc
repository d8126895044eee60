// Any sequence of bodies, in any dialect and mode: a plan is made, what it would send is proved to say the same, no
// such proof fails. Learned state survives saving and loading, and damaged state is told.
#include <cstdio>
#include <string>
#include <string_view>

#include "fuzz.h"
#include "prefix/optimizer.h"

namespace {

using payonce::llm::Dialect;
using payonce::prefix::Mode;

constexpr Dialect kDialects[] = {Dialect::kAnthropicMessages, Dialect::kOpenAiChat, Dialect::kOpenAiResponses};
constexpr Mode kModes[] = {Mode::kObserve, Mode::kSafe, Mode::kAggressive};
constexpr std::string_view kProviders[] = {"anthropic", "openai_gpt56plus", "openai_older", "vllm"};

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const Dialect dialect = kDialects[data[0] % 3];
  const Mode mode = kModes[data[0] / 3 % 3];
  const auto& providers = payonce::prompt_cache::Providers::built_in();
  const auto& provider = *providers.find(kProviders[data[1] % 4]);
  payonce::prefix::Optimizer optimizer({.seed = "fuzz"});
  std::string_view rest = payonce::fuzz::text(data + 2, size - 2);
  int64_t now_ms = 1'700'000'000'000;
  while (!rest.empty()) {  // bodies stand in lines of their own
    const size_t end = rest.find('\n');
    const std::string body(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    const auto request = payonce::llm::parse_request(dialect, payonce::base::Bytes(body));
    if (!request) continue;
    const auto plan = optimizer.plan({.request = *request,
                                      .account = "a",
                                      .scope = "u",
                                      .rule = payonce::prompt_cache::rule_for(provider, request->model),
                                      .mode = mode,
                                      .strip_billing = provider.id == "vllm",
                                      .now_ms = now_ms += 1000});
    if (!plan.fault.empty()) (void)fprintf(stderr, "fault: %s\n", plan.fault.c_str());
    PAYONCE_FUZZ_CHECK(plan.fault.empty());
    PAYONCE_FUZZ_CHECK(mode != Mode::kObserve || !plan.body);
    optimizer.begun(plan);
  }
  payonce::prefix::Optimizer next({.seed = "fuzz"});
  PAYONCE_FUZZ_CHECK(next.load(optimizer.save()).has_value());
  (void)next.load(payonce::fuzz::text(data, size));
  return 0;
}
