#include "audit/audit.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <boost/json.hpp>
#include <deque>

#include "audit/replay.h"
#include "audit/stack.h"
#include "audit/summarise.h"
#include "audit/write.h"

namespace payonce::audit {
namespace {

namespace json = boost::json;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kStart_ms = 1'790'000'000'000;

// A log that is made in memory.
class Calls {
 public:
  history::Call& add(int64_t at_s, std::string_view question, std::string_view user = "") {
    return body(at_s,
                fmt::format(R"({{"model":"gpt-4o","temperature":0,"messages":[{{"role":"system","content":"{}"}},)"
                            R"({{"role":"user","content":"{}"}}]}})",
                            system_, question),
                user);
  }
  history::Call& body(int64_t at_s, std::string request, std::string_view user = "") {
    history::Call call;
    call.at_ms = kStart_ms + 1000 * at_s;
    call.latency_ms = 2000;
    call.model = "gpt-4o";
    call.dialect = llm::Dialect::kOpenAiChat;
    call.user = user;
    call.session = "s";
    call.request = keep(std::move(request));
    call.response =
        keep(R"({"choices":[{"message":{"role":"assistant","content":"So it is."},"finish_reason":"stop"}],)"
             R"("usage":{"prompt_tokens":2000,"completion_tokens":10,"total_tokens":2010}})");
    call.usage = {.fresh = 2000, .output = 10, .known = true, .read_known = true};
    log_.calls.push_back(call);
    return log_.calls.back();
  }
  std::vector<Replayed> play(const Options& options = {}) const { return replay(log_.calls, options, nullptr); }
  Report report(const Options& options = {}, const Wanted& wanted = {}) const {
    return audit(log_, options, nullptr, wanted);
  }
  const history::Log& log() const { return log_; }
  const std::vector<history::Call>& calls() const { return log_.calls; }
  std::string_view keep(std::string text) { return kept_.emplace_back(std::move(text)); }

 private:
  const std::string system_ = std::string(6000, 'x');
  std::deque<std::string> kept_;
  history::Log log_;
};

TEST(Replay, AnEqualRequestIsAnsweredByTheFirst) {
  Calls log;
  log.add(0, "Who?");
  log.add(10, "Why?");
  log.add(20, "Who?");
  const auto out = log.play();
  EXPECT_EQ(out[0].took, Took::kUpstream);
  EXPECT_EQ(out[1].took, Took::kUpstream);
  EXPECT_EQ(out[2].took, Took::kExact);
  EXPECT_EQ(out[2].source, 0U);
  EXPECT_EQ(out[2].with.input(), 0);
}

TEST(Replay, NoAnswerGoesToAnotherUserUnlessAllShare) {
  Calls log;
  log.add(0, "Who?", "ann");
  log.add(10, "Who?", "bob");
  log.add(20, "Who?", "ann");
  const auto apart = log.play();
  EXPECT_EQ(apart[1].took, Took::kUpstream);
  EXPECT_EQ(apart[2].took, Took::kExact);
  Options all;
  all.sharing = Sharing::kAll;
  EXPECT_EQ(log.play(all)[1].took, Took::kExact);
}

TEST(Replay, AnAnswerIsThereWhenTheLogSays) {
  Calls log;
  log.add(0, "Who?");  // answered after 2 s
  log.add(1, "Who?");
  log.add(3, "Who?");
  const auto out = log.play();
  EXPECT_EQ(out[1].took, Took::kCollapsed);
  EXPECT_EQ(out[1].wait_ms, 1000);
  EXPECT_EQ(out[2].took, Took::kExact);
}

TEST(Replay, AnAnswerLivesAsLongAsTheTtlSays) {
  Calls log;
  log.add(0, "Who?");
  log.add(3600, "Who?");
  Options options;
  options.ttl_s = 1800;
  EXPECT_EQ(log.play(options)[1].took, Took::kUpstream);
  options.ttl_s = 7200;
  EXPECT_EQ(log.play(options)[1].took, Took::kExact);
}

TEST(Replay, AFailedCallAnswersNobody) {
  Calls log;
  log.add(0, "Who?").status = 500;
  log.add(1, "Who?");
  log.add(10, "Who?");
  const auto out = log.play();
  EXPECT_EQ(out[1].took, Took::kUpstream);
  EXPECT_EQ(out[2].took, Took::kExact);
  EXPECT_EQ(out[2].source, 1U);
}

TEST(Replay, AFrontThatTheClientRespellsIsReadAgain) {
  const std::string a = R"({"type":"function","function":{"name":"a","parameters":{"type":"object"}}})";
  const std::string b = R"({"type":"function","function":{"name":"b","parameters":{"type":"object"}}})";
  const auto request = [&](const std::string& tools, const std::string& question) {
    return fmt::format(R"({{"model":"gpt-4o","temperature":0,"tools":[{}],"messages":[)"
                       R"({{"role":"system","content":"{}"}},{{"role":"user","content":"{}"}}]}})",
                       tools, std::string(9000, 'y'), question);
  };
  Calls log;
  for (int i = 0; i < 10; ++i)
    log.body(60 * i, request(i % 2 == 0 ? a + "," + b : b + "," + a, fmt::format("Question {}?", i)));
  Options off;
  off.prefix = route::PrefixMode::kOff;
  int64_t read = 0, read_without = 0;
  for (const Replayed& one : log.play()) read += one.sent.read;
  for (const Replayed& one : log.play(off)) read_without += one.sent.read;
  EXPECT_GT(read, read_without + 1000);
}

TEST(Replay, ABodyMayCallItsModelOtherwiseThanTheLog) {
  Calls log;
  for (int i = 0; i < 2; ++i) {
    history::Call& call = log.add(10 * i, "Who?");
    call.model = "azure/gpt-4o-eu";
    call.provider = "azure";
  }
  EXPECT_EQ(log.play()[1].took, Took::kExact);
}

TEST(Provider, IsWhatOtherSystemsCallIt) {
  EXPECT_EQ(provider_id("anthropic", "claude-sonnet-4-5"), "anthropic");
  EXPECT_EQ(provider_id("bedrock", "anthropic.claude-haiku-4-5-v1:0"), "bedrock_claude");
  EXPECT_EQ(provider_id("bedrock", "amazon.nova-lite-v1:0"), "bedrock_nova");
  EXPECT_EQ(provider_id("azure", "gpt-4o"), "azure_openai");
  EXPECT_EQ(provider_id("vertex_ai", "gemini-2.5-pro"), "gemini");
  EXPECT_EQ(provider_id("somebody", "gpt-4o"), "");
}

TEST(Replay, ACallWithoutABodyIsCountedAsBilled) {
  Calls log;
  log.body(0, "");
  const Report report = log.report();
  EXPECT_EQ(report.without_body, 1U);
  EXPECT_DOUBLE_EQ(report.cost.actual, report.cost.with);
  EXPECT_THAT(report.notes, ::testing::Contains(HasSubstr("no body")));
}

// Whatever the log: savings of the layers add up to the whole, input stays input, nothing is below zero.
RC_GTEST_PROP(Replay, SavingsAddUp, ()) {
  Calls log;
  int64_t at_s = 0;
  const auto size = *rc::gen::inRange(1, 25);
  for (int i = 0; i < size; ++i) {
    at_s += *rc::gen::inRange(0, 400);
    auto& call = log.add(at_s, fmt::format("Question {}?", *rc::gen::inRange(0, 6)),
                         *rc::gen::element(std::string_view("ann"), std::string_view("bob")));
    call.usage.read = *rc::gen::inRange(0, 2000);
    call.usage.fresh = 2000 - call.usage.read;
    call.latency_ms = *rc::gen::inRange(1, 5000);
  }
  Options options;
  options.prefix = *rc::gen::element(route::PrefixMode::kOff, route::PrefixMode::kObserve, route::PrefixMode::kSafe);
  Wanted wanted;
  wanted.sensitivity = false;
  const Report report = log.report(options, wanted);
  double saved = 0, saved_input = 0;
  for (const Layer& layer : report.layers) {
    saved += layer.cost_saved_usd;
    saved_input += layer.input_cost_saved_usd;
  }
  RC_ASSERT(std::abs(report.cost.actual - report.cost.with - saved) < 1e-9);
  RC_ASSERT(std::abs(report.input_cost.actual - report.input_cost.with - saved_input) < 1e-9);
  for (const Replayed& one : log.play(options)) {
    RC_ASSERT(one.with.fresh >= 0 && one.with.read >= 0);
    RC_ASSERT(one.with.input() == (one.took == Took::kUpstream ? one.actual.input() : 0));
  }
}

TEST(LatencyModel, FindsWhatATokenCosts) {
  std::vector<TimedCall> calls;
  for (int i = 0; i < 200; ++i) {
    const llm::Usage usage{.fresh = 100 + 37 * i % 900, .read = 50 * (i % 7), .output = 10 + i % 40, .known = true};
    calls.push_back({usage, 40 + 0.5 * static_cast<double>(usage.fresh) + 12 * static_cast<double>(usage.output)});
  }
  const LatencyModel model = fit_latency(calls);
  EXPECT_NEAR(model.fixed_ms, 40, 1);
  EXPECT_NEAR(model.ms_per_computed_token, 0.5, 0.01);
  EXPECT_NEAR(model.ms_per_read_token, 0, 0.01);
  EXPECT_NEAR(model.ms_per_output_token, 12, 0.1);
  EXPECT_LT(model.median_error, 0.01);
}

TEST(LatencyModel, SaysNothingOfAFewCalls) {
  const std::vector<TimedCall> calls(LatencyModel::kMinimum - 1, TimedCall{{.fresh = 10, .known = true}, 5});
  EXPECT_FALSE(fit_latency(calls).usable());
}

RC_GTEST_PROP(LatencyModel, NoTermIsNegative, ()) {
  std::vector<TimedCall> calls;
  const auto size = *rc::gen::inRange(20, 60);
  for (int i = 0; i < size; ++i)
    calls.push_back({{.fresh = *rc::gen::inRange(0, 5000),
                      .read = *rc::gen::inRange(0, 5000),
                      .output = *rc::gen::inRange(0, 500),
                      .known = true},
                     static_cast<double>(*rc::gen::inRange(1, 100'000))});
  const LatencyModel model = fit_latency(calls);
  RC_ASSERT(model.fixed_ms >= 0 && model.ms_per_computed_token >= 0 && model.ms_per_read_token >= 0 &&
            model.ms_per_output_token >= 0);
}

TEST(Write, JsonHasTheShapeOfTheContract) {
  Calls log;
  for (int i = 0; i < 4; ++i) log.add(100 * i, "Who?");
  const json::object out = as_json(log.report(), log.log(), {});
  for (const std::string_view name : {"requests", "skipped", "duplicates", "tokens", "cost_usd", "input_cost_usd",
                                      "latency_ms", "layers", "sessions", "rebuilds", "findings", "migration"})
    EXPECT_TRUE(out.contains(name)) << name;
  EXPECT_EQ(out.at("requests").to_number<int>(), 4);
  const json::object& exact = out.at("layers").as_array().front().as_object();
  EXPECT_EQ(exact.at("hits").to_number<int>(), 3);
  EXPECT_EQ(exact.at("input_tokens_saved").to_number<int>(), 6000);
  EXPECT_EQ(exact.at("confidence").as_string(), "certain");
}

TEST(Write, NothingOfAPromptIsWrittenUnlessAsked) {
  Calls log;
  log.add(0, "What is the secret word?");
  log.add(10, "What is the secret word?");
  EXPECT_THAT(json::serialize(as_json(log.report(), log.log(), {})), Not(HasSubstr("secret word")));
  Wanted wanted;
  wanted.show_text = true;
  EXPECT_THAT(json::serialize(as_json(log.report({}, wanted), log.log(), {})), HasSubstr("secret word"));
}

TEST(Write, ThePageIsWholeAndHoldsNoMarkupOfTheData) {
  Calls log;
  log.add(0, "</script><img src=x>");
  log.add(10, "</script><img src=x>");
  Wanted wanted;
  wanted.show_text = true;
  const std::string page = as_html(as_json(log.report({}, wanted), log.log(), {}));
  EXPECT_THAT(page, Not(HasSubstr("<img src=x>")));
  EXPECT_THAT(page, HasSubstr("\\u003c/script>\\u003cimg src=x>"));
  for (const std::string_view left :
       {"/*data*/", "/*report.css*/", "/*dom.js*/", "src=\"http", "href=\"http", "@import"})
    EXPECT_THAT(page, Not(HasSubstr(std::string(left))));
}

TEST(Write, TextFitsAScreen) {
  Calls log;
  for (int i = 0; i < 40; ++i) log.add(10 * i, fmt::format("Question {}?", i % 9));
  const std::string text = as_text(log.report());
  EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 40);
  EXPECT_THAT(text, HasSubstr("total cost"));
}

}  // namespace
}  // namespace payonce::audit
