// What the prefix layer adds to a request: one plan, by size and by what there is to do.
#include <benchmark/benchmark.h>

#include "prefix/optimizer.h"
#include "prefix/optimizer_fixture.h"

namespace payonce::prefix {
namespace {

using fixture::Respeller;
using fixture::Session;

// An agent's session whose body has about that many bytes.
std::string session_body(size_t bytes, int turns) {
  Session session;
  session.system = fixture::rules_text(static_cast<int>(bytes / 2 / 56));
  for (int i = 0; i < 20; ++i) session.tools.push_back("tool_" + std::to_string(i));
  const std::string body = session.body(turns);
  return body;
}

void plan(benchmark::State& state, Mode mode, bool respelled) {
  const int turns = static_cast<int>(state.range(0)) / 2 / 480;
  const std::string first = session_body(static_cast<size_t>(state.range(0)), turns);
  Optimizer optimizer({.seed = "bench"});
  const auto& provider = *prompt_cache::Providers::built_in().find("anthropic");
  const auto run = [&](const std::string& body) {
    auto request = llm::parse_request(llm::Dialect::kAnthropicMessages, base::Bytes(body));
    return optimizer.plan({.request = *request,
                           .account = "a",
                           .scope = "u",
                           .rule = prompt_cache::rule_for(provider, "claude-sonnet-4-6"),
                           .mode = mode});
  };
  (void)run(first);
  const std::string body = respelled ? Respeller(1)(first) : first;
  for (auto _ : state) benchmark::DoNotOptimize(run(body).acted());
  state.counters["body"] = static_cast<double>(body.size());
}

BENCHMARK_CAPTURE(plan, unchanged, Mode::kSafe, false)
    ->Arg(4'000)
    ->Arg(40'000)
    ->Arg(400'000)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(plan, respelled, Mode::kSafe, true)
    ->Arg(4'000)
    ->Arg(40'000)
    ->Arg(400'000)
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace payonce::prefix

BENCHMARK_MAIN();
