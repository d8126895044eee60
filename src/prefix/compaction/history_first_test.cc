#include "prefix/compaction/history_first.h"

#include <gtest/gtest.h>

#include "prefix/compaction/compaction_fixture.h"
#include "prefix/compaction/live_sessions.h"

namespace payonce::prefix {
namespace {

using fixture::Shape;
using llm::Dialect;

constexpr Dialect kDialects[] = {Dialect::kAnthropicMessages, Dialect::kOpenAiChat, Dialect::kOpenAiResponses};

class HistoryFirstTest : public ::testing::Test {
 protected:
  struct Read {
    std::unique_ptr<llm::Request> request;
    Prompt prompt;
  };
  Read read(const std::string& body, Dialect dialect) {
    auto parsed = llm::parse_request(dialect, base::Bytes(std::string(body)));
    EXPECT_TRUE(parsed.has_value()) << body;
    Read out{.request = std::make_unique<llm::Request>(*std::move(parsed)), .prompt = {}};
    out.prompt = read_prompt(*out.request, hash_).value();
    return out;
  }
  void remember(const Shape& shape, std::string_view owner = "o") {
    const Read live = read(fixture::body_of(shape), shape.dialect);
    sessions_.remember(hash_(owner), live.prompt, hash_);
  }
  HistoryFirst rewrite(const Shape& shape, std::string_view owner = "o",
                       const prompt_cache::Invalidates& invalidates = {}) {
    return rewrite(fixture::body_of(shape), shape.dialect, owner, invalidates);
  }
  HistoryFirst rewrite(const std::string& body, Dialect dialect, std::string_view owner = "o",
                       const prompt_cache::Invalidates& invalidates = {}) {
    const Read call = read(body, dialect);
    const auto form = compaction_of(call.prompt);
    EXPECT_TRUE(form);
    std::string text;
    for (const Unit& unit : call.prompt.units) text += text_of_unit(call.prompt, unit) + "\n";
    const auto session = form->rendered ? sessions_.in_text(hash_(owner), call.prompt, text)
                                        : sessions_.with_messages(hash_(owner), call.prompt);
    return session ? history_first(call.prompt, *form, *session, invalidates, hash_) : HistoryFirst();
  }
  // Blocks at the front of both.
  size_t shared(const std::string& a, const std::string& b, Dialect dialect) {
    const Read first = read(a, dialect), second = read(b, dialect);
    size_t out = 0;
    while (out < first.prompt.blocks.size() && out < second.prompt.blocks.size() &&
           first.prompt.blocks[out].chain == second.prompt.blocks[out].chain)
      ++out;
    return out;
  }

  base::KeyedHash hash_{"test"};
  LiveSessions sessions_{1u << 20};
};

TEST_F(HistoryFirstTest, TheCallGetsTheSessionsWholePrefix) {
  for (const Dialect dialect : kDialects) {
    const Shape live = fixture::live_session(dialect);
    remember(live);
    const size_t blocks = read(fixture::body_of(live), dialect).prompt.blocks.size();
    for (const Shape& call :
         {fixture::as_messages(dialect), fixture::without_tools(dialect), fixture::as_text(dialect)}) {
      EXPECT_EQ(shared(fixture::body_of(live), fixture::body_of(call), dialect), 0u);
      const HistoryFirst made = rewrite(call);
      EXPECT_EQ(made.fault, "");
      ASSERT_NE(made.body, "") << static_cast<int>(dialect);
      EXPECT_EQ(shared(fixture::body_of(live), made.body, dialect), blocks);
      EXPECT_NE(made.body.find(R"("tool_choice")"), std::string::npos);
    }
  }
}

TEST_F(HistoryFirstTest, EveryTextOfTheCallIsInIt) {
  for (const Dialect dialect : kDialects) {
    remember(fixture::live_session(dialect));
    const HistoryFirst made = rewrite(fixture::as_text(dialect));
    const Read sent = read(made.body, dialect);
    const std::string said = text_of_unit(sent.prompt, sent.prompt.units.back());
    EXPECT_NE(said.find("You are a context summarization assistant."), std::string::npos);
    EXPECT_NE(said.find("I changed one line of the parser."), std::string::npos)
        << "of the last answer, which the session's request had not";
    EXPECT_NE(said.find("Summarize the conversation above in the sections"), std::string::npos);
    EXPECT_EQ(said.find("The fault needs step"), std::string::npos) << "it stands in the messages";
  }
}

TEST_F(HistoryFirstTest, WhereTheChoiceOfToolsCutsThePrefixWordsForbidThem) {
  remember(fixture::live_session(Dialect::kAnthropicMessages));
  const HistoryFirst made =
      rewrite(fixture::as_messages(Dialect::kAnthropicMessages), "o", {.messages = {"tool_choice"}});
  EXPECT_EQ(made.body.find("tool_choice"), std::string::npos);
  EXPECT_NE(made.body.find("calls of tools will be rejected"), std::string::npos);
}

TEST_F(HistoryFirstTest, NothingIsDoneWithoutGainOrCertainty) {
  const Dialect dialect = Dialect::kOpenAiChat;
  EXPECT_EQ(rewrite(fixture::as_messages(dialect)).body, "") << "no session";
  remember(fixture::live_session(dialect));
  EXPECT_EQ(rewrite(fixture::as_messages(dialect), "another").body, "") << "another's session";
  EXPECT_EQ(rewrite(fixture::in_place(dialect)).body, "") << "it has the prefix";
  std::string other_model = fixture::body_of(fixture::as_messages(dialect));
  other_model.replace(other_model.find("\"m\""), 3, "\"n\"");
  EXPECT_EQ(rewrite(other_model, dialect).body, "");
  std::string effort = fixture::body_of(fixture::as_messages(dialect));
  effort.insert(1, R"("reasoning_effort":"low",)");
  EXPECT_EQ(rewrite(effort, dialect, "o", {.messages = {"reasoning_effort"}}).body, "") << "another cache";
  EXPECT_NE(rewrite(effort, dialect).body, "");
  Shape other = fixture::as_text(dialect);
  other.turns[0].second =
      "[User]: quite another talk about quite other things\n[Assistant]: which nobody has had here\n" +
      fixture::lines("Nothing of it", 20) + "Summarize the conversation above.";
  EXPECT_EQ(rewrite(other).body, "");
}

TEST_F(HistoryFirstTest, SessionsAreForgottenWhenTheirBytesAreSpent) {
  LiveSessions few(8000);
  for (int i = 0; i < 9; ++i) {
    Shape live = fixture::live_session(Dialect::kOpenAiChat);
    live.turns[0].second += std::to_string(i);
    const Read one = read(fixture::body_of(live), live.dialect);
    few.remember(hash_("o"), one.prompt, hash_);
  }
  EXPECT_LE(few.size(), 2u);
  EXPECT_LE(few.bytes(), 8000u);
}

}  // namespace
}  // namespace payonce::prefix
