#include "prefix/optimizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "prefix/optimizer_fixture.h"
#include "prefix/same_request.h"

namespace payonce::prefix {
namespace {

using fixture::Respeller;
using fixture::Session;
using llm::Dialect;

class OptimizerTest : public ::testing::Test {
 protected:
  Plan plan(const std::string& body, Mode mode = Mode::kSafe, Dialect dialect = Dialect::kAnthropicMessages) {
    auto request = llm::parse_request(dialect, base::Bytes(body));
    EXPECT_TRUE(request.has_value()) << body;
    const auto& provider = *prompt_cache::Providers::built_in().find("anthropic");
    now_ms_ += 1000;
    return optimizer_.plan({.request = *request,
                            .account = account_,
                            .scope = "u-1",
                            .rule = prompt_cache::rule_for(provider, request->model),
                            .mode = mode,
                            .now_ms = now_ms_});
  }
  // What goes upstream, without markers and down to the last byte of the prefix.
  std::string sent(const std::string& body, Mode mode = Mode::kSafe) {
    const Plan made = plan(body, mode);
    EXPECT_EQ(made.fault, "");
    return made.body ? std::string(made.body->view()) : body;
  }

  Optimizer optimizer_{{.seed = "test"}};
  std::string account_ = "a";
  int64_t now_ms_ = 1'700'000'000'000;
};

// The tools, system text and messages of a body, each as it is spelled.
std::vector<std::string> units_of(const std::string& body) {
  auto request = llm::parse_request(Dialect::kAnthropicMessages, base::Bytes(body));
  const base::KeyedHash hash("test");
  const auto prompt = read_prompt(*request, hash);
  std::vector<std::string> out;
  for (const Unit& unit : prompt->units) out.push_back(std::string(prompt->raw(unit.node)));
  return out;
}

TEST_F(OptimizerTest, AFirstRequestGoesAsItCame) {
  EXPECT_FALSE(plan(Session().body(1), Mode::kObserve).body.has_value());
  account_ = "b";
  EXPECT_EQ(plan(Session().body(1)).acts[static_cast<size_t>(Act::kRespelled)], 0u);
}

TEST_F(OptimizerTest, ToolsKeepTheOrderInWhichTheyCameFirst) {
  Session session;
  const auto first = units_of(sent(session.body(1)));
  session.tools = {"grep", "late", "write", "read"};
  const auto second = units_of(sent(session.body(1)));
  EXPECT_EQ(std::vector(second.begin(), second.begin() + 3), std::vector(first.begin(), first.begin() + 3));
  EXPECT_THAT(second[3], ::testing::HasSubstr("\"late\""));
}

TEST_F(OptimizerTest, ObservingChangesNothingAndSaysWhatItWouldDo) {
  Session session;
  (void)plan(session.body(1), Mode::kObserve);
  std::swap(session.tools[0], session.tools[2]);
  const Plan observed = plan(session.body(2), Mode::kObserve);
  EXPECT_FALSE(observed.body.has_value());
  EXPECT_EQ(observed.acts[static_cast<size_t>(Act::kToolsOrdered)], 1u);
}

TEST_F(OptimizerTest, TwoAccountsShareNothing) {
  (void)plan(Session().body(1));
  account_ = "b";
  const Plan other = plan(Respeller(1)(Session().body(1)));
  EXPECT_EQ(other.acts[static_cast<size_t>(Act::kRespelled)], 0u);
  EXPECT_EQ(other.site_requests, 0u);
}

TEST_F(OptimizerTest, ABillingHeaderIsStrippedWhereItMeansNothing) {
  const std::string body =
      R"({"model":"m","system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=2.1.197.abc;"},)"
      R"({"type":"text","text":"You are an agent."}],"messages":[{"role":"user","content":"hi"}]})";
  auto request = llm::parse_request(Dialect::kAnthropicMessages, base::Bytes(body));
  const auto& provider = *prompt_cache::Providers::built_in().find("vllm");
  const Plan made = optimizer_.plan({.request = *request,
                                     .account = "a",
                                     .scope = "u",
                                     .rule = prompt_cache::rule_for(provider, "m"),
                                     .mode = Mode::kSafe,
                                     .strip_billing = true});
  ASSERT_TRUE(made.body.has_value()) << made.fault;
  EXPECT_EQ(made.body->view(), R"({"model":"m","system":[{"type":"text","text":"You are an agent."}],)"
                               R"("messages":[{"role":"user","content":"hi"}]})");
}

TEST_F(OptimizerTest, AnyRespellingOfASessionSendsTheSameBytes) {
  rc::check([this] {
    Session session;
    account_ = std::to_string(*rc::gen::arbitrary<uint32_t>());
    session.system = *rc::gen::arbitrary<std::string>();
    std::erase_if(session.system, [](char c) { return c < ' ' && c != '\n' && c != '\t'; });
    std::replace_if(session.system.begin(), session.system.end(), [](char c) { return c < 0; }, '?');
    if (session.system.empty()) session.system = "s";
    std::vector<std::string> before;
    for (int turns = 1; turns <= 4; ++turns) {
      std::string body = session.body(turns);
      if (*rc::gen::arbitrary<bool>()) body = Respeller(*rc::gen::arbitrary<uint32_t>())(body);
      const auto units = units_of(sent(body));
      for (size_t i = 0; i < before.size(); ++i)
        RC_ASSERT(units[i].find("cache_control") != std::string::npos ||
                  before[i].find("cache_control") != std::string::npos || units[i] == before[i]);
      before = units;
    }
  });
}

TEST_F(OptimizerTest, WhateverComesWhatIsSentSaysTheSame) {
  rc::check([this] {
    Session session;
    std::shuffle(session.tools.begin(), session.tools.end(), std::minstd_rand(*rc::gen::arbitrary<uint32_t>()));
    if (*rc::gen::arbitrary<bool>())
      session.system += fmt::format("Now: 2026-11-26T08:{:02}:00Z\n", *rc::gen::inRange(0, 60));
    const std::string body = Respeller(*rc::gen::arbitrary<uint32_t>())(session.body(*rc::gen::inRange(1, 6)));
    const Mode mode = *rc::gen::element(Mode::kSafe, Mode::kAggressive, Mode::kObserve);
    const Plan made = plan(body, mode);
    RC_ASSERT(made.fault.empty());
    if (!made.body) return;
    auto request = llm::parse_request(Dialect::kAnthropicMessages, base::Bytes(body));
    const base::KeyedHash hash("other");
    const auto prompt = read_prompt(*request, hash);
    RC_ASSERT(check_same_request(*prompt, made.body->view(), {.moved = mode == Mode::kAggressive}, hash).has_value());
  });
}

TEST_F(OptimizerTest, AClientThatBreaksNothingIsSentAsItCame) {
  const auto spaced = [](std::string body) {  // as Python's json.dumps spells it
    for (size_t at = 0; (at = body.find("},{", at)) != std::string::npos; at += 4) body.replace(at, 3, "}, {");
    return body;
  };
  const auto& provider = *prompt_cache::Providers::built_in().find("vllm");
  for (int turns = 1; turns <= 4; ++turns) {
    auto request = llm::parse_request(Dialect::kAnthropicMessages, base::Bytes(spaced(Session().body(turns))));
    const Plan made = optimizer_.plan({.request = *request,
                                       .account = "a",
                                       .scope = "u",
                                       .rule = prompt_cache::rule_for(provider, "m"),
                                       .mode = Mode::kAggressive});
    EXPECT_FALSE(made.body.has_value()) << made.body->view();
    EXPECT_FALSE(made.acted());
  }
}

TEST_F(OptimizerTest, WhatWasLearnedOutlivesARestart) {
  Session session;
  (void)plan(session.body(1));
  Optimizer next({.seed = "test"});
  ASSERT_TRUE(next.load(optimizer_.save()));
  std::swap(session.tools[0], session.tools[2]);
  auto request = llm::parse_request(Dialect::kAnthropicMessages, base::Bytes(session.body(1)));
  const auto& provider = *prompt_cache::Providers::built_in().find("anthropic");
  const Plan made = next.plan({.request = *request,
                               .account = "a",
                               .scope = "u-1",
                               .rule = prompt_cache::rule_for(provider, request->model),
                               .mode = Mode::kSafe});
  EXPECT_EQ(made.site_requests, 1u);
  EXPECT_EQ(made.acts[static_cast<size_t>(Act::kToolsOrdered)], 1u);
}

TEST_F(OptimizerTest, DamagedStateIsToldAndNothingIsTaken) {
  (void)plan(Session().body(1));
  const std::string good = optimizer_.save();
  std::minstd_rand random(5);
  for (int i = 0; i < 200; ++i) {
    std::string bad = good;
    bad[random() % bad.size()] ^= static_cast<char>(1u << (random() % 8));
    if (i % 3 == 0) bad.resize(random() % bad.size());
    Optimizer next({.seed = "test"});
    const auto status = next.load(bad);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, base::Code::kCorrupt);
    EXPECT_EQ(next.sizes().sites, 0u);
  }
}

TEST_F(OptimizerTest, BytesThatAreNoPromptGoAsTheyCame) {
  for (const char* body : {"{}", R"({"messages":"x"})", R"({"messages":[]})", R"({"tools":[1],"messages":[]})"})
    EXPECT_FALSE(plan(body).body.has_value()) << body;
}

}  // namespace
}  // namespace payonce::prefix
