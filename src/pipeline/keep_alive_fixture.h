// For tests of keep-alive: a pipeline with a prefix layer that has seen sessions whose requests lie minutes apart, in
// front of an upstream that is Anthropic's by name.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "base/env.h"
#include "pipeline/keep_alive_stage.h"
#include "pipeline/pipeline.h"

namespace payonce::pipeline::fixture {

// 1,500 tokens or so read at 0.3 USD a million, written at 3.75 (claude-sonnet-4-6).
inline constexpr int64_t kPrefix_tokens = 2'000;
inline constexpr int64_t kGap_ms = 400'000;  // beyond the TTL

struct KeepAliveFixture : ::testing::Test {
  KeepAliveFixture() { set_budget(1); }

  void set_budget(double usd, double callers_usd = 0) {
    Policy policy;
    policy.generation = ++generation;
    policy.callers = identity::Callers({.salt = "salt", .keys = {}});
    policy.routes = route::Routes({upstream});
    policy.prices = llm::PriceTable::built_in();
    policy.limit.budget_usd_per_day = callers_usd;
    policy.prefix = {.mode = route::PrefixMode::kSafe, .move = {}, .hold_ms = 0, .keep_alive_usd_per_day = usd};
    const auto made = std::make_shared<const Policy>(std::move(policy));
    if (pipeline)
      pipeline->set_policy(made);
    else
      pipeline = std::make_unique<Pipeline>(Pipeline::Parts{.clock = clock,
                                                            .metrics = metrics,
                                                            .store = *store,
                                                            .ledger = ledger,
                                                            .limits = limits,
                                                            .profiles = identity::Profiles::built_in().value(),
                                                            .prefix = &prefix},
                                            made);
  }

  std::string body_of(int session, int turns) const {
    std::string text = "You are a careful engineer.";
    for (int i = 0; i < 150; ++i) text += fmt::format(" Rule {}: keep code as it is indented, whatever it is.", i);
    std::string messages;
    for (int i = 0; i < turns; ++i)
      messages +=
          fmt::format(R"({}{{"role":"user","content":[{{"type":"text","text":"question {} of session {}"{}}}]}})",
                      i == 0 ? "" : R"(,{"role":"assistant","content":"yes"},)", i, session,
                      marks_question && i + 1 == turns ? R"(,"cache_control":{"type":"ephemeral"})" : "");
    return fmt::format(R"({{"model":"claude-sonnet-4-6","max_tokens":500,"system":"{}","messages":[{}]}})", text,
                       messages);
  }
  static std::string answer_of(int64_t read, int64_t written, std::string_view stop = "end_turn") {
    return fmt::format(
        R"({{"type":"message","stop_reason":"{}","content":[],"usage":{{"input_tokens":10,"output_tokens":1,)"
        R"("cache_read_input_tokens":{},"cache_creation_input_tokens":{}}}}})",
        stop, read, written);
  }

  Forward begin(const base::Bytes& body) {
    net::RequestHead head{.method = "POST", .target = "/v1/messages"};
    head.headers.add("x-api-key", "sk-1");
    Pipeline::Spent spent;
    auto forward = std::get<Forward>(pipeline->before({head, body, llm::Dialect::kAnthropicMessages}, spent));
    pipeline->arrange(forward, body);
    return forward;
  }
  Judged end(const Forward& forward, std::string answer = answer_of(0, kPrefix_tokens)) {
    return pipeline->after(forward, {.content_type = "application/json", .body = std::move(answer)});
  }
  // So many sessions of four requests each, one after another.
  void learn(int sessions = 75) {
    for (int session = 0; session < sessions; ++session)
      for (int turns = 1; turns <= 4; ++turns) {
        (void)end(begin(base::Bytes(body_of(1000 + session, turns))));
        clock.advance_ms(kGap_ms);
      }
  }
  static route::UpstreamPtr make_upstream(net::LocalService* local) {
    auto made = std::make_shared<route::Upstream>();
    made->name = made->identity = "up";
    made->provider = "anthropic";
    made->anthropic_base_url = "http://127.0.0.1:1";
    made->local = local;
    return made;
  }

  base::FakeClock clock;
  base::Metrics metrics;
  base::PosixEnv env;
  base::WorkerPool pool{{.threads = 1}};
  std::unique_ptr<cache::ResponseStore> store = cache::ResponseStore::open({}, env, clock, pool, metrics);
  record::Ledger ledger{"", clock, metrics};
  route::Limits limits;
  route::UpstreamPtr upstream = make_upstream(nullptr);
  PrefixStage prefix{{.clock = clock, .metrics = metrics, .post = [](const std::function<void()>&) { return false; }},
                     {.seed = "test"}};
  KeepAliveStage stage{{.clock = clock, .metrics = metrics, .ledger = ledger, .limits = limits, .prefix = prefix}};
  uint64_t generation = 0;
  bool marks_question = false;
  std::unique_ptr<Pipeline> pipeline;
};

}  // namespace payonce::pipeline::fixture
