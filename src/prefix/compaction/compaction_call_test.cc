#include "prefix/compaction/compaction_call.h"

#include <gtest/gtest.h>

#include "prefix/compaction/compaction_fixture.h"

namespace payonce::prefix {
namespace {

using fixture::Shape;
using llm::Dialect;

std::optional<CompactionCall> found(const Shape& shape) {
  const base::KeyedHash hash("test");
  const auto request = llm::parse_request(shape.dialect, base::Bytes(fixture::body_of(shape)));
  EXPECT_TRUE(request.has_value());
  return compaction_of(read_prompt(*request, hash).value());
}

TEST(CompactionCall, TheShapesOfAgentsAreFoundInEachDialect) {
  for (const Dialect dialect : {Dialect::kAnthropicMessages, Dialect::kOpenAiChat, Dialect::kOpenAiResponses}) {
    for (const auto& make : {fixture::as_messages, fixture::without_tools, fixture::in_place}) {
      const auto call = found(make(dialect));
      ASSERT_TRUE(call) << static_cast<int>(dialect);
      EXPECT_FALSE(call->rendered);
    }
    const auto text = found(fixture::as_text(dialect));
    ASSERT_TRUE(text);
    EXPECT_TRUE(text->rendered);
    EXPECT_FALSE(found(fixture::live_session(dialect)));
  }
}

TEST(CompactionCall, AHistoryInTheSystemTextCounts) {
  Shape shape = fixture::as_text(Dialect::kOpenAiChat);
  shape.system = shape.turns[0].second;
  shape.turns = {{"user", "Please summarize the conversation history provided in the system prompt."}};
  EXPECT_TRUE(found(shape) && found(shape)->rendered);
}

TEST(CompactionCall, OtherRequestsAreNone) {
  Shape title = fixture::as_messages(Dialect::kOpenAiChat);
  title.system = "Write a title that summarizes the conversation.";
  title.turns.back().second = "Write a title of five words for our conversation.";
  EXPECT_FALSE(found(title));

  Shape person = fixture::live_session(Dialect::kOpenAiChat);
  person.turns.back().second = "Summarize our conversation so far.";  // one sentence to an agent with tools
  EXPECT_FALSE(found(person));

  Shape essay = fixture::live_session(Dialect::kOpenAiChat);
  essay.tools = false;
  essay.turns.back().second =
      "Summarize chapter two of the novel, please, and the history of its making is welcome too.";
  essay.turns.erase(essay.turns.begin(), essay.turns.end() - 1);
  EXPECT_FALSE(found(essay));

  Shape small{.dialect = Dialect::kOpenAiChat,
              .system = "",
              .tools = false,
              .turns = {{"user", "Summarize this conversation."}}};
  EXPECT_FALSE(found(small));
}

TEST(CompactionCall, ALineIsReadWithoutItsRole) {
  for (const char* line : {"User: hello", "[User]: hello", "# USER hello: no", "<assistant>hello", "**Human**: hello",
                           "[Tool result]: hello"}) {
    const bool keeps = std::string_view(line).find("no") != std::string_view::npos;
    EXPECT_EQ(without_role(line), keeps ? std::string_view("no") : std::string_view("hello")) << line;
  }
  for (const char* line : {"User interfaces are hard", "Username: x", "hello: user", "system"})
    EXPECT_EQ(without_role(line), line);
}

}  // namespace
}  // namespace payonce::prefix
