#include "pipeline/token_question.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "pipeline/prompt_tokens.h"

namespace payonce::pipeline {
namespace {

std::string question(std::string_view body, llm::Dialect dialect = llm::Dialect::kOpenAiChat) {
  const auto request = llm::parse_request(dialect, base::Bytes::copy(body));
  return tokenize_body(request.value()).value_or("none");
}

TEST(TokenQuestion, ItSaysWhatChangesThePromptAndNothingElse) {
  EXPECT_EQ(question(R"({"stream":true,"messages":[ {"role":"user","content":"a"}],"temperature":1,"model":"m",)"
                     R"("tools":[{"type":"function"}],"chat_template_kwargs":{"enable_thinking":false}})"),
            R"({"model":"m","messages":[ {"role":"user","content":"a"}],"tools":[{"type":"function"}],)"
            R"("chat_template_kwargs":{"enable_thinking":false}})");
  EXPECT_EQ(question(R"({"model":"m","prompt":"once\n","n":2})", llm::Dialect::kOpenAiCompletions),
            R"({"model":"m","prompt":"once\n"})");
  EXPECT_NE(question(R"({"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"}]}]})"), "none");
}

TEST(TokenQuestion, NothingIsAskedWhereTokensDoNotNameTheBlocks) {
  for (const std::string_view body :
       {R"({"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]})",
        R"({"model":"m","messages":[{"role":"user","content":"a"}],"cache_salt":"s"})", R"({"model":"m"})",
        R"({"model":"m","messages":"a"})", R"({"model":"m","messages":[{"content":[1]}]})"})
    EXPECT_EQ(question(body), "none") << body;
  EXPECT_EQ(question(R"({"model":"m","prompt":["a","b"]})", llm::Dialect::kOpenAiCompletions), "none");
  EXPECT_EQ(question(R"({"model":"m","messages":[]})", llm::Dialect::kAnthropicMessages), "none");
}

TEST(TokenQuestion, TheTokensOfAnAnswer) {
  EXPECT_EQ(tokens_in(R"({"count":3,"max_model_len":9,"tokens":[1, 20,4294967295],"token_strs":null})"),
            (std::vector<uint32_t>{1, 20, 4294967295}));
  EXPECT_EQ(tokens_in(R"({"tokens":[]})"), std::vector<uint32_t>{});
  for (const std::string_view answer : {"", "[]", R"({"tokens":null})", R"({"tokens":[1.5]})", R"({"tokens":[-1]})",
                                        R"({"tokens":[[1]]})", R"({"tokens":[4294967296]})", R"({"tokens":["1"]})"})
    EXPECT_FALSE(tokens_in(answer)) << answer;
}

route::Chain chain(std::initializer_list<uint64_t> links) {
  route::Chain out;
  for (const uint64_t link : links) out.push_back({{link, 0}, static_cast<uint32_t>(100 * (out.size() + 1))});
  return out;
}

TEST(PromptTokens, ALongerPromptFindsThoseOfItsFront) {
  PromptTokens known;
  EXPECT_EQ(known.find(chain({1}), "m").tokens, nullptr);
  known.keep({1, 0}, "m", {1, 2, 3});
  known.keep({2, 0}, "m", {1, 2, 3, 4});
  EXPECT_EQ(known.find(chain({1, 2}), "m").share, 1);
  const auto found = known.find(chain({1, 2, 3, 4}), "m");
  EXPECT_EQ(*found.tokens, (std::vector<uint32_t>{1, 2, 3, 4}));
  EXPECT_EQ(found.share, 0.5);
  EXPECT_EQ(known.find(chain({1}), "other").tokens, nullptr);
  EXPECT_EQ(known.find(chain({3, 4}), "m").tokens, nullptr);
}

TEST(PromptTokens, ItHoldsNoMoreThanItMay) {
  PromptTokens known(5);
  known.keep({1, 0}, "m", {1, 2, 3});
  known.keep({2, 0}, "m", {4, 5, 6});
  EXPECT_EQ(known.find(chain({1}), "m").tokens, nullptr);
  EXPECT_NE(known.find(chain({2}), "m").tokens, nullptr);
  known.keep({3, 0}, "m", std::vector<uint32_t>(PromptTokens::kMaxOfPrompt + 1));
  EXPECT_NE(known.find(chain({2}), "m").tokens, nullptr);
}

}  // namespace
}  // namespace payonce::pipeline
