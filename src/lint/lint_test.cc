#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lint/live.h"
#include "lint/report.h"
#include "lint/run.h"
#include "lint/static_rules.h"

namespace payonce::lint {
namespace {

using prefix::Kind;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

const llm::PriceTable& prices() {
  static const llm::PriceTable table = llm::PriceTable::built_in();
  return table;
}

std::vector<Kind> kinds(const Result& result) {
  std::vector<Kind> out;
  for (const Told& told : result.findings) out.push_back(told.finding.kind);
  return out;
}

TEST(LintTest, MalformedLinesAreCountedAndNotFatal) {
  const Input input = read_texts(
      {{"a.jsonl", "{\"request\":{\"messages\":[]}}\nnot json\n\n{\"request\":{\"model\":1\n{\"x\":1}\n"}});
  EXPECT_EQ(input.log.calls.size(), 1u);
  ASSERT_EQ(input.skipped.size(), 3u);
  EXPECT_EQ(input.skipped[0].line, 2u);
  EXPECT_EQ(input.skipped[2].line, 5u);
}

TEST(LintTest, FourStackedCausesAreAllNamedAndTheTextPointsAtThem) {
  const std::string rest(3000, 'x');
  std::string log;
  for (int i = 0; i < 4; ++i) {
    const std::string a = R"({"name":"read_file","input_schema":{"type":"object"}})",
                      b = R"({"name":"write_file","input_schema":{"type":"object"}})";
    log += R"({"timestamp":)" + std::to_string(1772546709 + i * 20) +
           R"(,"session":"s","path":"/v1/messages","request":{"model":"claude-sonnet-4-5","max_tokens":9,"tools":[)" +
           (i % 2 == 0 ? a + "," + b : b + "," + a) + R"(],"system":"Time: 2026-03-03T14:0)" + std::to_string(i) +
           R"(:09Z. Be kind. )" + rest + R"( Request id: 6f1c2f0e-93b1-4f0a-8a51-0d3d6a3c9b1)" + std::to_string(i) +
           R"(. End.","messages":[{"role":"user","content":"go on then"})" +
           R"(,{"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"read_file","input":{)" +
           (i % 2 == 0 ? R"("path":"a","line":1)" : R"("line":1,"path":"a")") +
           R"(}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"text"}]}]}})" + "\n";
  }
  Input input = read_texts({{"log.jsonl", log}});
  const Result result = run(input, prices(), {});
  EXPECT_THAT(kinds(result), UnorderedElementsAre(Kind::kClock, Kind::kRandomId, Kind::kToolOrder,
                                                  Kind::kJsonKeyOrder, Kind::kHistoryRespelled));
  for (const Told& told : result.findings) EXPECT_GT(told.finding.cost_usd, 0);
  const std::string text = as_text(input, result, {});
  EXPECT_THAT(text, HasSubstr("log.jsonl:2: system:"));
  EXPECT_THAT(text, HasSubstr("2026-03-03T14:01:09Z"));
  EXPECT_THAT(as_text(input, result, {.redact = true}), testing::Not(HasSubstr("14:01:09")));
  EXPECT_THAT(as_json(input, result, {}), HasSubstr(R"("kind":"tool_order")"));
  EXPECT_THAT(as_sarif(result), HasSubstr(R"("ruleId":"clock")"));
}

TEST(StaticRulesTest, TemplatesShowTheirPlaceholders) {
  std::vector<Kind> found;
  for (const prefix::Finding& finding : template_findings(
           "You are {{ assistant_style }}.\nNow: {{ timestamp }}\nUser: ${user.email}\nTrace {request_id}\n"))
    found.push_back(finding.kind);
  EXPECT_THAT(found, ElementsAre(Kind::kClock, Kind::kUserIdentity, Kind::kRandomId));
}

TEST(StaticRulesTest, OneRequestShowsWhatSaysThatItIsVolatile) {
  const auto request = llm::parse_request(
      llm::Dialect::kAnthropicMessages,
      base::Bytes(std::string(
          R"({"system":"Knowledge ends on 2024-06-01. Current time: 2026-03-03T14:05:09Z.","messages":[]})")));
  const auto found = static_findings(*request);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].path, "system");
  EXPECT_EQ(request->body.view().substr(found[0].byte_offset, found[0].bytes), "2026-03-03T14:05:09Z");
}

TEST(LiveTest, TheFindingsOfAnInstanceAreToldAsThoseOfALog) {
  const auto live = read_live(
      R"({"requests":9,"skipped":2,"findings":[{"kind":"clock","request":1,"path":"system","byte_offset":7,)"
      R"("bytes":3,"occurrences":4,"tokens":50,"cost_usd":0.5,"detail":"","before":"a","after":"b"},)"
      R"({"kind":"tool_order","request":1,"path":"tools[0]","byte_offset":7,"bytes":3,"occurrences":4,"tokens":50,)"
      R"("cost_usd":1.5,"detail":"","before":"","after":""},{"kind":"of a later version"}]})",
      "http://h:1", {});
  ASSERT_TRUE(live) << live.error().message;
  EXPECT_THAT(kinds(live->result), ElementsAre(Kind::kToolOrder, Kind::kClock));
  const std::string text = as_text(live->input, live->result, {});
  EXPECT_THAT(text, HasSubstr("http://h:1: system:7: clock: "));
  EXPECT_THAT(text, HasSubstr("  from: a\n    to: b\n"));
  EXPECT_THAT(text, HasSubstr("9 requests, 2 findings, $2.0000, 2 skipped"));
  EXPECT_THAT(as_json(live->input, live->result, {}), HasSubstr(R"("requests":9,"skipped":2)"));
  EXPECT_THAT(as_sarif(live->result), testing::Not(HasSubstr("startLine")));
  EXPECT_EQ(read_live("[]", "h", {}).error().code, base::Code::kCorrupt);
  EXPECT_EQ(read_live("{}", "h", {}).error().code, base::Code::kCorrupt);
}

}  // namespace
}  // namespace payonce::lint
