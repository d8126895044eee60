#include "prefix/prompt/prompt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "prefix/prompt/value_hash.h"

namespace payonce::prefix {
namespace {

using llm::Dialect;
using testing::ElementsAre;

const base::KeyedHash kHash("test");

llm::Request request_of(std::string_view body, Dialect dialect = Dialect::kAnthropicMessages) {
  auto request = llm::parse_request(dialect, base::Bytes(std::string(body)));
  EXPECT_TRUE(request.has_value());
  return *std::move(request);
}

std::vector<std::string> paths_of(const llm::Request& request) {
  std::vector<std::string> out;
  const auto prompt = read_prompt(request, kHash);
  if (prompt)
    for (const Block& block : prompt->blocks) out.push_back(path_of(*prompt, block));
  return out;
}

base::Hash128 chain_of(std::string_view body, Dialect dialect = Dialect::kAnthropicMessages) {
  const llm::Request request = request_of(body, dialect);
  const auto prompt = read_prompt(request, kHash);
  return prompt && !prompt->blocks.empty() ? prompt->blocks.back().chain : base::Hash128();
}

TEST(PromptTest, AnthropicBlocksStandInTheOrderOfThePrefix) {
  const llm::Request request = request_of(
      R"({"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"thinking","thinking":"t"},
      {"type":"tool_use","id":"1","name":"a","input":{}}]}],"system":[{"type":"text","text":"s"}],
      "tools":[{"name":"a"},{"name":"b"}],"model":"m","tool_choice":{"type":"auto"}})");
  EXPECT_THAT(paths_of(request), ElementsAre("tools[0]", "tools[1]", "system[0].text", "messages[0].content",
                                             "messages[1].content[0]", "messages[1].content[1]"));
  const auto prompt = read_prompt(request, kHash);
  EXPECT_FALSE(prompt->blocks[4].markable);
  EXPECT_TRUE(prompt->blocks[5].markable);
  EXPECT_EQ(prompt->first_of(Section::kMessages), 3u);
  EXPECT_EQ(prompt->parameters.size(), 2u);
}

TEST(PromptTest, LeadingSystemMessagesOfOpenAiAreItsSystemText) {
  const llm::Request request = request_of(
      R"({"messages":[{"role":"system","content":"s"},{"role":"developer","content":[{"type":"text","text":"d"}]},
      {"role":"user","content":"u"},{"role":"system","content":"late"}]})",
      Dialect::kOpenAiChat);
  EXPECT_THAT(paths_of(request), ElementsAre("messages[0].content", "messages[1].content[0].text",
                                             "messages[2].content", "messages[3].content"));
  const auto prompt = read_prompt(request, kHash);
  EXPECT_EQ(prompt->first_of(Section::kMessages), 2u);
}

TEST(PromptTest, ResponsesItemsAreBlocks) {
  EXPECT_THAT(paths_of(request_of(R"({"instructions":"i","input":"q"})", Dialect::kOpenAiResponses)),
              ElementsAre("instructions", "input"));
  EXPECT_THAT(paths_of(request_of(
                  R"({"input":[{"role":"user","content":"q"},{"type":"function_call","name":"f","arguments":"{}"},
                  {"type":"function_call_output","call_id":"1","output":"o"}]})",
                  Dialect::kOpenAiResponses)),
              ElementsAre("input[0].content", "input[1]", "input[2].content"));
}

TEST(PromptTest, SpellingAndMarkersDoNotCount) {
  const auto chain = chain_of(R"({"tools":[{"name":"a","input_schema":{"x":1,"y":1.0}}],
      "messages":[{"role":"user","content":"caf\u00e9"}]})");
  EXPECT_EQ(chain, chain_of(R"({"messages":[{"content":[{"type":"text","text":"café",
      "cache_control":{"type":"ephemeral"}}],"role":"user"}],
      "tools":[{"input_schema":{"y":1,"x":1e0},"name":"a","cache_control":{"type":"ephemeral","ttl":"1h"}}]})"));
}

TEST(PromptTest, EveryByteOfTextCounts) {
  const auto chain = [](std::string_view text) {
    return chain_of(std::string(R"({"messages":[{"role":"user","content":")").append(text).append("\"}]}"));
  };
  EXPECT_NE(chain("a b"), chain("a  b"));
  EXPECT_NE(chain("a"), chain("a\\n"));
}

TEST(PromptTest, WhoSpeaksAndAToolsCallCount) {
  const auto chat = [](std::string_view message) {
    return chain_of(std::string(R"({"messages":[)").append(message).append("]}"), Dialect::kOpenAiChat);
  };
  EXPECT_NE(chat(R"({"role":"user","content":"x"})"), chat(R"({"role":"assistant","content":"x"})"));
  EXPECT_NE(chat(R"({"role":"assistant","content":null,"tool_calls":[{"id":"1"}]})"),
            chat(R"({"role":"assistant","content":null,"tool_calls":[{"id":"2"}]})"));
}

TEST(PromptTest, MarkersAreRead) {
  const llm::Request request = request_of(
      R"({"cache_control":{"type":"ephemeral"},"system":[{"type":"text","text":"s",
      "cache_control":{"type":"ephemeral","ttl":"1h"}}],"messages":[{"role":"user","content":"q"}]})");
  const auto prompt = read_prompt(request, kHash);
  EXPECT_EQ(prompt->automatic, Marker::kShort);
  EXPECT_EQ(prompt->blocks[0].marker, Marker::kLong);
  EXPECT_EQ(prompt->blocks[1].marker, Marker::kNone);
}

TEST(PromptTest, WhatIsNotUnderstoodIsNoPrompt) {
  for (const std::string_view body :
       {R"({"messages":"x"})", R"({})", R"({"messages":[1]})", R"({"tools":{},"messages":[]})",
        R"({"messages":[{"role":"user","content":["x"]}]})"}) {
    const llm::Request request = request_of(body);
    EXPECT_FALSE(read_prompt(request, kHash).has_value()) << body;
  }
}

TEST(ValueHashTest, SameValueProvesWhatTheHashSays) {
  const std::string a = R"({"a":[1,{"b":"x"}],"c":null})", b = R"({"c":null,"a":[1.0,{"b":"\u0078"}]})";
  const std::string c = R"({"c":null,"a":[1.0,{"b":"y"}]})";
  const auto tape_a = *llm::Tape::parse(a), tape_b = *llm::Tape::parse(b), tape_c = *llm::Tape::parse(c);
  EXPECT_EQ(value_hash(kHash, {tape_a, a}), value_hash(kHash, {tape_b, b}));
  EXPECT_TRUE(same_value({tape_a, a}, {tape_b, b}));
  EXPECT_NE(value_hash(kHash, {tape_a, a}), value_hash(kHash, {tape_c, c}));
  EXPECT_FALSE(same_value({tape_a, a}, {tape_c, c}));
}

}  // namespace
}  // namespace payonce::prefix
