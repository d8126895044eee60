#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zstd.h>

#include "lint/live.h"
#include "lint/report.h"
#include "lint/run.h"
#include "lint/static_rules.h"
#include "lint/unpack.h"

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

TEST(RowsTest, TimesInEverySpelling) {
  for (const std::string_view text : {"2026-03-03T14:05:09.120Z", "2026-03-03 15:05:09.12+01:00", "1772546709.120",
                                      "1772546709120", "1772546709120000", "2026-03-03T09:05:09.120-0500"})
    EXPECT_EQ(parse_time_ms(text), 1'772'546'709'120) << text;
  EXPECT_EQ(parse_time_ms("yesterday"), std::nullopt);
}

TEST(RowsTest, TheDialectIsOfThePathOrTheBody) {
  EXPECT_EQ(
      read_row(R"({"path":"https://api.anthropic.com/v1/messages?beta=true","request":{"messages":[]}})")->dialect,
      llm::Dialect::kAnthropicMessages);
  EXPECT_EQ(read_row(R"({"messages":[],"system":"x"})")->dialect, llm::Dialect::kAnthropicMessages);
  EXPECT_EQ(read_row(R"({"messages":[]})")->dialect, llm::Dialect::kOpenAiChat);
  EXPECT_EQ(read_row(R"({"input":"x"})")->dialect, llm::Dialect::kOpenAiResponses);
  EXPECT_EQ(read_row(R"({"request":"{\"input\":\"x\"}"})")->dialect, llm::Dialect::kOpenAiResponses);
  EXPECT_FALSE(read_row(R"({"x":1})"));
}

TEST(LintTest, MalformedLinesAreCountedAndNotFatal) {
  Input input;
  read_text(input, "a.jsonl", "{\"request\":{\"messages\":[]}}\nnot json\n\n{\"request\":{\"model\":1\n{\"x\":1}\n");
  EXPECT_EQ(input.rows.size(), 1u);
  ASSERT_EQ(input.skipped.size(), 3u);
  EXPECT_EQ(input.skipped[0].line, 2u);
  EXPECT_EQ(input.skipped[2].line, 5u);
}

TEST(LintTest, FourStackedCausesAreAllNamedAndTheTextPointsAtThem) {
  const std::string rest(3000, 'x');
  Input input;
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
  read_text(input, "log.jsonl", log);
  const Result result = run(input, prices(), {});
  EXPECT_THAT(kinds(result), UnorderedElementsAre(Kind::kClock, Kind::kRandomId, Kind::kToolOrder,
                                                  Kind::kJsonKeyOrder, Kind::kHistoryRespelled));
  for (const Told& told : result.findings) EXPECT_GT(told.finding.cost_usd, 0);
  const std::string text = as_text(input, result, {});
  EXPECT_THAT(text, HasSubstr("log.jsonl:2: system:"));
  EXPECT_THAT(text, HasSubstr("2026-03-03T14:01:09Z"));
  EXPECT_THAT(as_text(input, result, {.redact = true}), testing::Not(HasSubstr("14:01:09")));
  EXPECT_THAT(as_json(input, result, {}), HasSubstr(R"("kind":"tool_order")"));
  EXPECT_THAT(as_sarif(input, result), HasSubstr(R"("ruleId":"clock")"));
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

std::string packed(std::string_view text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

TEST(UnpackTest, FramesFollowOneAnotherAndATornEndIsLeftOut) {
  const std::string first = packed("first\n"), second = packed("second\n");
  EXPECT_EQ(unpack(first + second, 100).value(), "first\nsecond\n");
  for (size_t cut = 1; cut < second.size(); ++cut) {
    const std::string text = unpack((first + second).substr(0, first.size() + second.size() - cut), 100).value();
    EXPECT_TRUE(text.starts_with("first\n") && std::string_view("first\nsecond\n").starts_with(text)) << text;
  }
  EXPECT_EQ(unpack("", 100).value(), "");
  EXPECT_EQ(unpack("plain", 100).error().code, base::Code::kInvalid);
  EXPECT_EQ(unpack(packed(std::string(1'000'000, 'a')), 1000).error().code, base::Code::kTooLarge);
}

TEST(LiveTest, TheFindingsOfAnInstanceAreToldAsThoseOfALog) {
  const auto live = read_live(
      R"({"requests":9,"skipped":2,"findings":[{"kind":"clock","request":1,"path":"system","byte_offset":7,)"
      R"("bytes":3,"occurrences":4,"tokens":50,"cost_usd":0.5,"detail":"","before":"a","now":"b"},)"
      R"({"kind":"tool_order","request":1,"path":"tools[0]","byte_offset":7,"bytes":3,"occurrences":4,"tokens":50,)"
      R"("cost_usd":1.5,"detail":"","before":"","now":""},{"kind":"of a later version"}]})",
      "http://h:1", {});
  ASSERT_TRUE(live) << live.error().message;
  EXPECT_THAT(kinds(live->result), ElementsAre(Kind::kToolOrder, Kind::kClock));
  const std::string text = as_text(live->input, live->result, {});
  EXPECT_THAT(text, HasSubstr("http://h:1: system:7: clock: "));
  EXPECT_THAT(text, HasSubstr("  from: a\n    to: b\n"));
  EXPECT_THAT(text, HasSubstr("9 requests, 2 findings, $2.0000, 2 skipped"));
  EXPECT_THAT(as_json(live->input, live->result, {}), HasSubstr(R"("requests":9,"skipped":2)"));
  EXPECT_THAT(as_sarif(live->input, live->result), testing::Not(HasSubstr("startLine")));
  EXPECT_EQ(read_live("[]", "h", {}).error().code, base::Code::kCorrupt);
  EXPECT_EQ(read_live("{}", "h", {}).error().code, base::Code::kCorrupt);
}

}  // namespace
}  // namespace payonce::lint
