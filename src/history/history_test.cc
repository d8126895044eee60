#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "history/json.h"
#include "history/rebuilds.h"
#include "history/totals.h"
#include "source_tree/source_tree.h"

namespace payonce::history {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string data(const std::string& name) { return source_tree::path("src/history/testdata/" + name); }

std::vector<std::string> ids(const Log& log) {
  std::vector<std::string> out;
  for (const Call& call : log.calls) out.emplace_back(call.id);
  return out;
}

TEST(ClaudeCode, OneMessageIsOneRequestHoweverManyLines) {
  const Log log = read({data("claude_code")});
  EXPECT_THAT(log.skipped, IsEmpty());
  EXPECT_THAT(ids(log), ElementsAre("msg_01A", "msg_01B", "msg_01E", "msg_01D", "msg_01C"));
  EXPECT_EQ(log.duplicates.lines, 2U);
  EXPECT_EQ(log.duplicates.records, 0U);
  EXPECT_EQ(log.ignored.at("progress"), 1U);
  EXPECT_EQ(log.ignored.at("file-history-snapshot"), 1U);
  EXPECT_EQ(log.ignored.at("synthetic answer"), 1U);

  const Call& first = log.calls[0];
  EXPECT_EQ(first.format, Format::kClaudeCode);
  EXPECT_EQ(first.line, 3U);
  EXPECT_EQ(first.at_ms, 1772442000000);  // when it was asked
  EXPECT_EQ(first.latency_ms, 3700);      // to the last line
  EXPECT_EQ(first.first_ms, 2500);
  EXPECT_EQ(first.usage.output, 120) << "the last line's";
  EXPECT_EQ(first.usage.write_long, 8000);
  EXPECT_FALSE(first.output_is_floor);
  EXPECT_TRUE(log.calls[1].output_is_floor) << "no line told why it stopped";
}

TEST(ClaudeCode, EachCallHeardWhatStoodBeforeIt) {
  const Log log = read({data("claude_code")});
  const auto heard = [&](const Call& call) {
    std::vector<std::string> out;
    for (size_t i = call.heard.begin; i < call.heard.end; ++i) {
      const Piece& piece = log.conversations[call.heard.conversation][i];
      out.push_back(std::string(piece.role) + std::string(piece.raw.substr(0, 18)));
    }
    return out;
  };
  EXPECT_THAT(heard(log.calls[0]), ElementsAre("user\"Why does the buil"));
  EXPECT_EQ(heard(log.calls[1]).size(), 5U);
  // The compaction's call continues the session's messages; the request after it begins with the summary.
  EXPECT_EQ(heard(log.calls[3]).size(), 5U + 2U + 1U);
  EXPECT_EQ(heard(log.calls[3]).back(), "user\"Summarise the con");
  EXPECT_THAT(heard(log.calls[4]), ElementsAre("user\"This session cont"));
  EXPECT_TRUE(log.calls[4].compacted);
  EXPECT_EQ(log.calls[2].session, "11111111-aaaa-4bbb-8ccc-000000000001/a77");
}

TEST(ClaudeCode, AResumedSessionsFileRepeatsNoRequest) {
  const Log once = read({data("claude_code/11111111.jsonl")});
  std::string twice(once.files[0].text);
  twice += twice;
  const Log log = read_sources({{"resumed.jsonl", twice}});
  EXPECT_EQ(log.calls.size(), once.calls.size());
  const Log both = read({data("claude_code"), data("claude_code/11111111.jsonl")});
  EXPECT_EQ(both.calls.size(), 5U);
  EXPECT_EQ(both.duplicates.files, 1U);
}

TEST(Rows, TimesInEverySpelling) {
  for (const std::string_view text : {"2026-03-03T14:05:09.120Z", "2026-03-03 15:05:09.12+01:00", "1772546709.120",
                                      "1772546709120", "1772546709120000", "2026-03-03T09:05:09.120-0500"})
    EXPECT_EQ(parse_time_ms(text), 1'772'546'709'120) << text;
  EXPECT_EQ(parse_time_ms("yesterday"), std::nullopt);
}

TEST(Rows, TheDialectIsOfThePathOrTheBody) {
  const auto dialect = [](std::string_view row) { return read_sources({{"rows.jsonl", row}}).calls.at(0).dialect; };
  EXPECT_EQ(dialect(R"({"path":"https://api.anthropic.com/v1/messages?beta=true","request":{"messages":[]}})"),
            llm::Dialect::kAnthropicMessages);
  EXPECT_EQ(dialect(R"({"messages":[],"system":"x"})"), llm::Dialect::kAnthropicMessages);
  EXPECT_EQ(dialect(R"({"messages":[]})"), llm::Dialect::kOpenAiChat);
  EXPECT_EQ(dialect(R"({"input":"x"})"), llm::Dialect::kOpenAiResponses);
  EXPECT_EQ(dialect(R"({"request":"{\"input\":\"x\"}"})"), llm::Dialect::kOpenAiResponses);
  EXPECT_EQ(read_sources({{"rows.jsonl", R"({"x":1})"}}).skipped_count(), 1U);
}

TEST(Rows, BodiesTimesSessionsAndUsage) {
  const Log log = read({data("rows.jsonl")});
  ASSERT_EQ(log.calls.size(), 3U) << (log.skipped.empty() ? "" : log.skipped[0].why);
  const Call& stream = log.calls[0];  // 08:02 UTC
  EXPECT_EQ(stream.usage.read, 2048);
  EXPECT_EQ(stream.usage.output, 5);
  EXPECT_TRUE(stream.response.starts_with("event: message_start\ndata:"));
  EXPECT_TRUE(stream.request.starts_with("{\"model\":"));
  EXPECT_EQ(stream.session, "s-1");
  EXPECT_EQ(stream.user, "user_9f_account_77");
  const Call& first = log.calls[1];
  EXPECT_EQ(first.dialect, llm::Dialect::kAnthropicMessages);
  EXPECT_EQ(first.latency_ms, 1800);
  EXPECT_EQ(first.usage.fresh, 20);
  const Call& chat = log.calls[2];
  EXPECT_EQ(chat.dialect, llm::Dialect::kOpenAiChat);
  EXPECT_EQ(chat.provider, "api.openai.com");
  EXPECT_EQ(chat.user, "u-5");
  EXPECT_EQ(chat.usage.fresh, 176);
  EXPECT_EQ(chat.usage.read, 1024);
  EXPECT_DOUBLE_EQ(chat.billed_usd, 0.0021);
  EXPECT_EQ(chat.first_ms, 300);
}

TEST(Rows, EnvelopesOfARecorder) {
  const Log log = read({data("claude_trace.jsonl")});
  ASSERT_EQ(log.calls.size(), 1U);
  EXPECT_EQ(log.calls[0].session, "s-9");
  EXPECT_EQ(log.calls[0].latency_ms, 2500);
  EXPECT_EQ(log.calls[0].usage.read, 2048);
  EXPECT_EQ(log.calls[0].provider, "api.anthropic.com");
}

// The published figures of the logs that the project was given; they are not in the repository.
TEST(SharedLogs, TotalsAndRebuilds) {
  const std::string folder = source_tree::path("../shared/data/logs");
  if (!std::filesystem::is_directory(folder)) GTEST_SKIP() << "no shared logs beside the repository";
  const Log log = read({folder});
  const llm::PriceTable prices = llm::PriceTable::built_in();
  const Totals all = totals(log, prices);
  EXPECT_EQ(log.skipped_count(), 0U);
  EXPECT_EQ(all.requests, 304U);
  EXPECT_EQ(all.usage.fresh, 413);
  EXPECT_EQ(all.usage.read, 27'159'170);
  EXPECT_EQ(all.usage.write_short, 559'475);
  EXPECT_EQ(all.usage.write_long, 349'474);
  EXPECT_EQ(all.usage.output, 67'798);
  EXPECT_TRUE(all.output_is_floor);
  EXPECT_NEAR(all.cost_usd, 21.97, 0.02197);
  EXPECT_NEAR(all.uncached_usd, 140.69, 0.14069);
  std::vector<std::string> causes;
  for (const Rebuild& one : rebuilds(log, prices))
    causes.push_back(std::string(cause_name(one.cause)) + " " + std::to_string(one.had) + "/" +
                     std::to_string(one.read) + "/" + std::to_string(one.wrote));
  EXPECT_THAT(causes, ElementsAre("prefix 111067/21460/89928", "compact 166758/21460/12497",
                                  "prefix 76540/21460/55541", "ttl 81957/0/82720", "compact 164830/21478/14600",
                                  "ttl 82858/0/83565", "prefix 98231/21478/77251"));
}

}  // namespace
}  // namespace payonce::history
