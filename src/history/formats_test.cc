// Every format on a small file in the shape that its tool writes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "history/log.h"
#include "source_tree/source_tree.h"

namespace payonce::history {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Log read_data(const std::vector<std::string>& names, const Options& options = {}) {
  std::vector<std::string> paths;
  for (const std::string& name : names) paths.push_back(source_tree::path("src/history/testdata/" + name));
  Log log = read(paths, options);
  for (const Skipped& skipped : log.skipped) ADD_FAILURE() << log.files[skipped.file].name << ": " << skipped.why;
  return log;
}

// fresh, read, written short, written long, output
std::vector<int64_t> tokens(const Call& call) {
  EXPECT_TRUE(call.usage.known);
  return {call.usage.fresh, call.usage.read, call.usage.write_short, call.usage.write_long, call.usage.output};
}

std::string heard(const Log& log, const Call& call) {
  std::string out;
  for (size_t i = call.heard.begin; i < call.heard.end; ++i) {
    const Piece& piece = log.conversations.at(call.heard.conversation).at(i);
    out += std::string(piece.role) + ":" + std::string(piece.raw) + "\n";
  }
  return out;
}

TEST(LiteLlm, TheSameRowsAsLinesPageAndCsv) {
  for (const std::string name : {"lite_llm.jsonl", "lite_llm_page.json", "lite_llm.csv"}) {
    const Log log = read_data({name});
    ASSERT_EQ(log.calls.size(), 4U) << name;
    EXPECT_THAT(log.calls, Each(Field(&Call::format, Format::kLiteLlm)));
    const Call& first = log.calls[0];
    EXPECT_EQ(first.at_ms, 1772442000100);
    EXPECT_EQ(first.latency_ms, 800);
    EXPECT_EQ(first.first_ms, 300);
    EXPECT_THAT(tokens(first), ElementsAre(10, 1000, 50, 150, 6)) << name;
    EXPECT_EQ(first.session, "sess-1");
    EXPECT_EQ(first.user, "dev-7");
    EXPECT_EQ(first.provider, "anthropic");
    EXPECT_EQ(first.dialect, llm::Dialect::kOpenAiChat) << "LiteLLM's clients speak this one to it";
    EXPECT_THAT(std::string(first.request), HasSubstr(R"(Name a \"warm\" colour,\nplease.)")) << name;
    EXPECT_FALSE(first.request_is_partial);
    EXPECT_THAT(std::string(first.response), HasSubstr("Red."));
    EXPECT_DOUBLE_EQ(first.billed_usd, 0.0014);
    EXPECT_TRUE(log.calls[1].from_cache);
    EXPECT_TRUE(log.calls[2].request_is_partial) << "messages alone were kept";
    EXPECT_THAT(std::string(log.calls[2].request), HasSubstr("Answer briefly."));
    EXPECT_THAT(tokens(log.calls[2]), ElementsAre(1210, 0, 0, 0, 6));
    EXPECT_EQ(log.calls[3].status, 429);
  }
}

TEST(LiteLlm, ARowInTwoExportsIsOneCall) {
  const Log log = read_data({"lite_llm.jsonl", "lite_llm.csv"});
  EXPECT_EQ(log.calls.size(), 4U);
  EXPECT_EQ(log.duplicates.records, 4U);
}

TEST(LiteLlm, CallbackPayloads) {
  const Log log = read_data({"lite_llm_callback.jsonl"});
  ASSERT_EQ(log.calls.size(), 1U);
  const Call& call = log.calls[0];
  EXPECT_EQ(call.latency_ms, 1250);
  EXPECT_EQ(call.first_ms, -1) << "nothing was streamed";
  EXPECT_THAT(std::string(call.request), HasSubstr(R"("tools":[{"type":"function")"));
  EXPECT_EQ(call.user, "dev-7");
  EXPECT_EQ(call.session, "");
}

TEST(Helicone, LinesAndCsv) {
  for (const std::string name : {"helicone.jsonl", "helicone.csv"}) {
    const Log log = read_data({name});
    ASSERT_EQ(log.calls.size(), 4U) << name;
    const Call& first = log.calls[0];
    EXPECT_EQ(first.format, Format::kHelicone);
    EXPECT_THAT(tokens(first), ElementsAre(12, 3000, 500, 0, 4));
    EXPECT_EQ(first.at_ms, 1772442000500);
    EXPECT_EQ(first.latency_ms, 1800);
    EXPECT_EQ(first.first_ms, 420);
    EXPECT_EQ(first.session, "hs-1");
    EXPECT_EQ(first.dialect, llm::Dialect::kAnthropicMessages);
    EXPECT_THAT(std::string(first.request), HasSubstr("\"system\""));
    EXPECT_FALSE(first.from_cache);
    EXPECT_TRUE(log.calls[1].from_cache);
    EXPECT_THAT(std::string(log.calls[2].request), IsEmpty()) << "it was not exported";
    EXPECT_THAT(tokens(log.calls[2]), ElementsAre(12, 3000, 500, 0, 4)) << "from the columns";
    EXPECT_EQ(log.calls[3].status, 500);
  }
}

TEST(Langfuse, GenerationsInSeveralSpellings) {
  const Log log = read_data({"langfuse.jsonl"});
  ASSERT_EQ(log.calls.size(), 4U);
  EXPECT_EQ(log.ignored.at("SPAN"), 1U);
  EXPECT_THAT(tokens(log.calls[0]), ElementsAre(200, 1024, 0, 0, 8));
  EXPECT_EQ(log.calls[0].first_ms, 400);
  EXPECT_EQ(log.calls[0].session, "ls-1");
  EXPECT_DOUBLE_EQ(log.calls[0].billed_usd, 0.0018);
  EXPECT_THAT(std::string(log.calls[0].response), HasSubstr(R"("message":{"role":"assistant","content":"Red."})"));
  EXPECT_THAT(tokens(log.calls[1]), ElementsAre(12, 3000, 500, 0, 4));
  EXPECT_THAT(std::string(log.calls[1].request), HasSubstr(R"("tools":[{"name": "palette")"));
  EXPECT_THAT(tokens(log.calls[2]), ElementsAre(100, 3000, 0, 500, 4));
  EXPECT_EQ(log.calls[2].session, "t1");
  EXPECT_THAT(tokens(log.calls[3]), ElementsAre(200, 1024, 0, 0, 4)) << "the total says that input includes it";
  EXPECT_EQ(log.calls[3].status, 500);
}

TEST(Langfuse, TracesGiveTheirSession) {
  const Log log = read_data({"langfuse_trace.json"});
  ASSERT_EQ(log.calls.size(), 2U);
  EXPECT_EQ(log.calls[1].user, "dev-9");
  EXPECT_EQ(log.files[0].format, Format::kLangfuse);
}

TEST(Batch, InputAndOutputAreJoined) {
  const Log log = read_data({"batch_input.jsonl", "batch_output.jsonl"});
  ASSERT_EQ(log.calls.size(), 3U);
  EXPECT_THAT(log.calls, Each(Field(&Call::batch, true)));
  const Call& unanswered = log.calls[0];
  EXPECT_EQ(unanswered.id, "request-3");
  EXPECT_FALSE(unanswered.usage.known);
  const Call& first = log.calls[1];
  EXPECT_EQ(first.id, "request-1");
  EXPECT_EQ(first.at_ms, 1772442001000);
  EXPECT_THAT(tokens(first), ElementsAre(20, 0, 0, 0, 2));
  EXPECT_THAT(std::string(first.request), HasSubstr("Name colour 1."));
  EXPECT_EQ(first.dialect, llm::Dialect::kOpenAiChat);
}

TEST(Batch, AnthropicResults) {
  const Log log = read_data({"batch_anthropic_results.jsonl"});
  ASSERT_EQ(log.calls.size(), 2U);
  EXPECT_THAT(tokens(log.calls[0]), ElementsAre(12, 3000, 500, 0, 4));
  EXPECT_EQ(log.calls[1].status, 500);
  EXPECT_EQ(log.ignored.at("expired"), 1U);
}

TEST(Codex, OneCallForEachNewTotal) {
  const Log log = read_data({"codex"});
  ASSERT_EQ(log.calls.size(), 3U);
  EXPECT_EQ(log.duplicates.lines, 1U);
  EXPECT_THAT(tokens(log.calls[0]), ElementsAre(8000, 0, 0, 0, 120));
  EXPECT_THAT(tokens(log.calls[1]), ElementsAre(364, 7936, 0, 0, 40));
  EXPECT_EQ(log.calls[1].at_ms, 1772442005000);
  EXPECT_EQ(log.calls[1].latency_ms, 2000);
  EXPECT_EQ(log.calls[1].model, "gpt-5-codex");
  EXPECT_EQ(log.calls[1].session, "019c-cx");
  EXPECT_THAT(heard(log, log.calls[0]), HasSubstr("Why does the build fail?"));
  EXPECT_THAT(heard(log, log.calls[1]), HasSubstr("tool:{\"type\":\"function_call_output\""));
  EXPECT_TRUE(log.calls[2].compacted);
  EXPECT_THAT(heard(log, log.calls[2]), testing::Not(HasSubstr("Why does")));
}

TEST(Codex, RecordsOfUsageCountOnce) {
  const Log log = read_data({"codex_records.jsonl"});
  ASSERT_EQ(log.calls.size(), 2U);
  EXPECT_EQ(log.calls[0].id, "resp_1");
  EXPECT_EQ(log.calls[0].latency_ms, 1980);
  EXPECT_THAT(tokens(log.calls[1]), ElementsAre(1264, 7936, 0, 0, 40));
  EXPECT_THAT(heard(log, log.calls[0]), testing::Not(HasSubstr("call_1")));
  EXPECT_THAT(heard(log, log.calls[0]), HasSubstr("system:\"You are a coding agent.\""));
  EXPECT_THAT(heard(log, log.calls[1]), HasSubstr("function_call_output"));
  // Without the records the same: there token_count stands behind the tool's output.
  std::string text(log.files[0].text), older;
  for (size_t at = 0, end = 0; at < text.size(); at = end + 1) {
    end = text.find('\n', at);
    if (text.substr(at, end - at).find("token_usage_record") == std::string::npos)
      older += text.substr(at, end - at + 1);
  }
  const Log before = read_sources({{"rollout.jsonl", older}});
  ASSERT_EQ(before.calls.size(), 2U);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(tokens(before.calls[i]), tokens(log.calls[i]));
    EXPECT_EQ(heard(before, before.calls[i]), heard(log, log.calls[i]));
    EXPECT_EQ(before.calls[i].at_ms, log.calls[i].at_ms);
  }
}

TEST(GeminiCli, ListsAndLines) {
  const Log list = read_data({"gemini_cli.json"});
  ASSERT_EQ(list.calls.size(), 2U);
  EXPECT_THAT(tokens(list.calls[0]), ElementsAre(7000, 0, 0, 0, 230));
  EXPECT_THAT(tokens(list.calls[1]), ElementsAre(400, 6900, 0, 0, 62));
  EXPECT_EQ(list.calls[1].at_ms, 1772442004000) << "when the tool had answered";
  EXPECT_EQ(list.calls[1].latency_ms, 2000);
  EXPECT_EQ(list.calls[1].session, "gs-1");
  const Log lines = read_data({"gemini_cli.jsonl"});
  ASSERT_EQ(lines.calls.size(), 4U);
  EXPECT_THAT(heard(lines, lines.calls[0]), HasSubstr("<session_context>"));
  EXPECT_THAT(heard(lines, lines.calls[1]),
              HasSubstr("assistant:{\"command\":\"make\"}\nuser:{\"functionResponse\""));
  EXPECT_EQ(lines.calls[1].at_ms, 1772442004000);
  EXPECT_TRUE(lines.calls[3].compacted);
  EXPECT_THAT(heard(lines, lines.calls[3]), testing::Not(HasSubstr("Why does")));
  EXPECT_THAT(tokens(lines.calls[0]), ElementsAre(7000, 0, 0, 0, 230));
  EXPECT_THAT(tokens(lines.calls[2]), ElementsAre(315, 7000, 0, 0, 8));
  EXPECT_THAT(heard(lines, lines.calls[2]), HasSubstr("user:\"Try again.\""));
  EXPECT_THAT(heard(lines, lines.calls[2]), testing::Not(HasSubstr("semicolon"))) << "it was rewound";
}

TEST(OpenCode, ExportAndStorageTellTheSame) {
  for (const std::string name : {"open_code_export.json", "open_code"}) {
    const Log log = read_data({name});
    ASSERT_EQ(log.calls.size(), 3U) << name;
    EXPECT_THAT(tokens(log.calls[0]), ElementsAre(5, 0, 3000, 0, 90));
    EXPECT_THAT(tokens(log.calls[1]), ElementsAre(2, 3000, 200, 0, 30)) << "its first step";
    EXPECT_THAT(tokens(log.calls[2]), ElementsAre(3, 3200, 100, 0, 60)) << "with reasoning, as the total says";
    EXPECT_EQ(log.calls[0].latency_ms, 4000);
    EXPECT_EQ(log.calls[0].session, "ses_1");
    EXPECT_THAT(heard(log, log.calls[1]), HasSubstr("main.c:3: error"));
    EXPECT_THAT(heard(log, log.calls[2]), HasSubstr("A semicolon"));
    EXPECT_EQ(log.ignored.at("answer without tokens"), 1U);
  }
}

TEST(Otel, SpansOfCallsInThreeSpellings) {
  const Log log = read_data({"otel.jsonl"});
  ASSERT_EQ(log.calls.size(), 3U);
  EXPECT_EQ(log.ignored.at("other span"), 1U) << "an agent's span repeats its calls' tokens";
  EXPECT_THAT(tokens(log.calls[0]), ElementsAre(12, 3000, 500, 0, 4));
  EXPECT_EQ(log.calls[0].session, "oc-1");
  EXPECT_EQ(log.calls[0].latency_ms, 1500);
  EXPECT_THAT(heard(log, log.calls[0]), HasSubstr("Name a colour."));
  EXPECT_THAT(tokens(log.calls[1]), ElementsAre(200, 1024, 0, 0, 5));
  EXPECT_EQ(log.calls[1].provider, "openai");
  EXPECT_THAT(tokens(log.calls[2]), ElementsAre(12, 3000, 0, 0, 4)) << "this emitter leaves cached tokens out";
  EXPECT_EQ(log.calls[2].status, 500);
}

TEST(Formats, EachIsToldByItsContentAndMayBeForced) {
  const std::vector<std::pair<std::string, Format>> files = {{"rows.jsonl", Format::kRows},
                                                             {"claude_trace.jsonl", Format::kRows},
                                                             {"lite_llm.csv", Format::kLiteLlm},
                                                             {"helicone.csv", Format::kHelicone},
                                                             {"langfuse.jsonl", Format::kLangfuse},
                                                             {"batch_input.jsonl", Format::kBatch},
                                                             {"batch_output.jsonl", Format::kBatch},
                                                             {"claude_code/11111111.jsonl", Format::kClaudeCode},
                                                             {"gemini_cli.jsonl", Format::kGeminiCli},
                                                             {"open_code_export.json", Format::kOpenCode},
                                                             {"otel.jsonl", Format::kOtel}};
  for (const auto& [name, format] : files) {
    EXPECT_EQ(read_data({name}).files[0].format, format) << name;
    EXPECT_EQ(format_named(format_name(format)), format);
  }
  const Log forced = read({source_tree::path("src/history/testdata/rows.jsonl")}, {.format = Format::kCodex});
  EXPECT_EQ(forced.calls.size(), 0U);
  EXPECT_EQ(forced.skipped_count(), 3U);
}

}  // namespace
}  // namespace payonce::history
