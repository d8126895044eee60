// Vocabulary, chat templates, grammars: the parts of libllama that we wrap, on a real model's tables.
#include <gmock/gmock.h>

#include <cmath>
#include <thread>

#include "engine/model/chat_template.h"
#include "engine/model/grammar.h"
#include "engine/model/json_depth.h"
#include "engine/model/test_models.h"
#include "engine/model/token_tree.h"
#include "engine/model/vocab.h"

namespace payonce::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kTools = R"([{"type":"function","function":{"name":"get_weather","description":"Weather now",
  "parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}])";
constexpr const char* kSchema = R"({"type":"object","properties":{"age":{"type":"integer"}},"required":["age"]})";

class Text : public testing::Test {
 protected:
  void SetUp() override {
    PAYONCE_NEEDS_MODEL(smol_model(), "tools/fetch_model.py");
    static std::shared_ptr<Vocab> shared;  // read once for all tests
    if (!shared) {
      auto loaded = Vocab::load(smol_model());
      ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
      shared = std::move(*loaded);
    }
    vocab_ = shared;
  }

  std::unique_ptr<Grammar> grammar(const Grammar::Source& source) {
    auto made = Grammar::make(*vocab_, source);
    EXPECT_TRUE(made.has_value()) << made.error().message;
    return made ? std::move(*made) : nullptr;
  }

  // How much of `text` the grammar lets through, and whether the answer may end there.
  std::string accepted(Grammar& grammar, const std::string& text) {
    std::string out;
    const auto tokens = vocab_->tokenize(text, false, false);
    for (const int32_t token : *tokens) {
      if (!grammar.allows(token)) return out + "|";
      grammar.accept(token);
      out += vocab_->piece(token);
    }
    return out + (grammar.allows(vocab_->eos()) ? "." : "");
  }

  std::unique_ptr<ChatTemplate> chat(const std::string& source = "") {
    auto made = ChatTemplate::make(*vocab_, source);
    EXPECT_TRUE(made.has_value()) << made.error().message;
    return made ? std::move(*made) : nullptr;
  }

  std::shared_ptr<Vocab> vocab_;
};

TEST_F(Text, ComesBackFromTokens) {
  for (const std::string text :
       {"Hello, world!", "naïve café – 東京 🙂", " leading and trailing ", "\n\ttabs\n", ""}) {
    const auto tokens = vocab_->tokenize(text, false, false);
    ASSERT_TRUE(tokens.has_value());
    EXPECT_EQ(vocab_->text(*tokens), text);
  }
  EXPECT_EQ(vocab_->size(), 49152);
  EXPECT_TRUE(vocab_->is_end(vocab_->eos()));
  EXPECT_FALSE(vocab_->is_end(1000));
  EXPECT_FALSE(vocab_->is_end(-1));
  EXPECT_EQ(vocab_->piece(-1), "");
  EXPECT_EQ(vocab_->piece(49152), "");
}

TEST_F(Text, SpecialTokensAreLettersUnlessAskedFor) {
  const auto special = vocab_->tokenize("<|im_start|>", false, true);
  const auto letters = vocab_->tokenize("<|im_start|>", false, false);
  ASSERT_TRUE(special && letters);
  EXPECT_THAT(*special, ElementsAre(1));
  EXPECT_GT(letters->size(), 1U);
  EXPECT_EQ(vocab_->piece(1), "");
  EXPECT_EQ(vocab_->piece(1, true), "<|im_start|>");
}

TEST_F(Text, ThatIsNotUtf8IsAnErrorWithItsPlace) {
  for (const std::string bad : {"ab\xff", "ab\xc3", "ab\xc0\x80", "ab\xed\xa0\x80", "ab\xf4\x90\x80\x80",
                                "ab\xe0\x80\x80", "ab\xf8\x88\x80\x80\x80", "ab\x80"}) {
    const auto tokens = vocab_->tokenize(bad, false, false);
    ASSERT_FALSE(tokens.has_value()) << testing::PrintToString(bad);
    EXPECT_EQ(tokens.error().code, base::Code::kInvalid);
    EXPECT_THAT(tokens.error().message, HasSubstr("byte 2"));
  }
  EXPECT_TRUE(vocab_->tokenize("\xf4\x8f\xbf\xbf \xed\x9f\xbf", false, false).has_value());
}

TEST_F(Text, TemplatesWriteChatMl) {
  const auto rendered = chat()->render({.messages_json = R"([{"role":"system","content":"Be brief."},
      {"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"},{"role":"user","content":"Bye"}])"});
  ASSERT_TRUE(rendered.has_value()) << rendered.error().message;
  EXPECT_EQ(rendered->prompt,
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
            "<|im_start|>assistant\nHello<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(rendered->grammar, "");
}

TEST_F(Text, TemplatesGiveToolsAndTheirCallsComeBack) {
  const auto rendered =
      chat()->render({.messages_json = R"([{"role":"user","content":"Weather in Paris?"}])", .tools_json = kTools});
  ASSERT_TRUE(rendered.has_value()) << rendered.error().message;
  EXPECT_THAT(rendered->prompt, HasSubstr("get_weather"));
  EXPECT_TRUE(rendered->grammar_lazy);
  ASSERT_FALSE(rendered->grammar_triggers.empty());

  const std::string call =
      "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}\n</tool_call>";
  const auto constrained = grammar({.gbnf = rendered->grammar, .lazy = true, .triggers = rendered->grammar_triggers});
  EXPECT_EQ(accepted(*constrained, "Sure. " + call), "Sure. " + call + ".");
  const auto wrong = grammar({.gbnf = rendered->grammar, .lazy = true, .triggers = rendered->grammar_triggers});
  EXPECT_THAT(accepted(*wrong, "<tool_call>\n{\"name\": \"other"), testing::EndsWith("|"));

  const ChatMessage message = chat()->parse("Sure.\n" + call, rendered->syntax.get(), false);
  EXPECT_THAT(message.content, HasSubstr("Sure."));
  ASSERT_EQ(message.tool_calls.size(), 1U);
  EXPECT_EQ(message.tool_calls[0].name, "get_weather");
  EXPECT_EQ(message.tool_calls[0].arguments, "{\"city\": \"Paris\"}");
  const ChatMessage half = chat()->parse(call.substr(0, call.size() - 25), rendered->syntax.get(), true);
  ASSERT_EQ(half.tool_calls.size(), 1U);
  EXPECT_EQ(half.tool_calls[0].name, "get_weather");
}

TEST_F(Text, RequiredToolsAreForcedFromTheStart) {
  const auto rendered = chat()->render({.messages_json = R"([{"role":"user","content":"Weather?"}])",
                                        .tools_json = kTools,
                                        .tool_choice = "required"});
  ASSERT_TRUE(rendered.has_value()) << rendered.error().message;
  EXPECT_FALSE(rendered->grammar_lazy);
  EXPECT_TRUE(rendered->prompt.ends_with(rendered->grammar_prefill));
  const auto constrained = grammar({.gbnf = rendered->grammar, .prefill = rendered->grammar_prefill});
  ASSERT_TRUE(constrained);
  EXPECT_FALSE(constrained->allows(vocab_->eos()));
  const std::string call =
      "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\"}}</tool_call>";
  EXPECT_EQ(accepted(*constrained, call), call + ".");
}

TEST_F(Text, ToolResultsAndCallsOfEarlierTurnsAreWritten) {
  const auto rendered = chat()->render(
      {.messages_json = R"([{"role":"user","content":"Weather?"},{"role":"assistant","content":null,"tool_calls":
          [{"id":"1","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Rome\"}"}}]},
          {"role":"tool","tool_call_id":"1","content":"sunny"}])",
       .tools_json = kTools});
  ASSERT_TRUE(rendered.has_value()) << rendered.error().message;
  EXPECT_THAT(rendered->prompt, HasSubstr("{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\"}}"));
  EXPECT_THAT(rendered->prompt, HasSubstr("<tool_response>\nsunny\n</tool_response>"));
}

// With ThreadSanitizer: the library reads the clock of the process for each.
TEST_F(Text, SeveralThreadsRenderAtOnce) {
  const auto shared = chat("{{ date_string }} {{ messages[0]['content'] }}");
  const auto render = [&] {
    for (int i = 0; i < 20; ++i)
      EXPECT_THAT(shared->render({.messages_json = R"([{"role":"user","content":"Hi"}])"})->prompt, HasSubstr(" Hi"));
  };
  std::thread other(render);
  render();
  other.join();
}

TEST_F(Text, WhatATemplateRefusesIsAnErrorInItsWords) {
  const auto refusing = chat("{{ raise_exception('no system messages here') }}");
  EXPECT_FALSE(refusing && refusing->render({.messages_json = R"([{"role":"user","content":"x"}])"}).has_value());
  EXPECT_FALSE(ChatTemplate::make(*vocab_, "{% for %}").has_value());
  for (const std::string messages : {"", "[", "{}", R"([{"content":"x"}])", R"([{"role":"user","content":7}])"}) {
    const auto rendered = chat()->render({.messages_json = messages});
    ASSERT_FALSE(rendered.has_value()) << messages;
    EXPECT_EQ(rendered.error().code, base::Code::kInvalid);
  }
  const std::string user = R"([{"role":"user","content":"x"}])";
  EXPECT_FALSE(
      chat()->render({.messages_json = user, .tools_json = kTools, .grammar = "root ::= \"a\""}).has_value());
  EXPECT_FALSE(chat()->render({.messages_json = user, .tool_choice = "maybe"}).has_value());
  EXPECT_FALSE(chat()->render({.messages_json = std::string(5000, '[')}).has_value());
  const auto no_tools = chat("{% for m in messages %}{{ m.content }}{% endfor %}");
  EXPECT_FALSE(no_tools->render({.messages_json = user, .tools_json = kTools}).has_value());
}

TEST_F(Text, ASchemaConstrainsTheAnswer) {
  const auto rendered =
      chat()->render({.messages_json = R"([{"role":"user","content":"Age?"}])", .json_schema = kSchema});
  ASSERT_TRUE(rendered.has_value()) << rendered.error().message;
  const Grammar::Source source{.gbnf = rendered->grammar, .prefill = rendered->grammar_prefill};
  EXPECT_EQ(accepted(*grammar(source), R"({"age": 42})"), R"({"age": 42}.)");
  EXPECT_EQ(accepted(*grammar(source), R"({"age": "x"})"), R"({"age":|)");
  EXPECT_THAT(accepted(*grammar(source), R"({"name")"), testing::EndsWith("|"));
  EXPECT_EQ(chat()->parse(R"({"age": 42})", rendered->syntax.get(), false).content, R"({"age": 42})");
}

TEST_F(Text, SchemasThatMakeNoSenseAreErrors) {
  EXPECT_TRUE(json_schema_to_gbnf(kSchema).has_value());
  for (const std::string bad : {"", "{", R"({"$ref":"#/nowhere"})", R"({"type":"unheard-of"})"}) {
    const auto gbnf = json_schema_to_gbnf(bad);
    ASSERT_FALSE(gbnf.has_value()) << bad;
    EXPECT_EQ(gbnf.error().code, base::Code::kInvalid);
  }
  EXPECT_FALSE(json_schema_to_gbnf(std::string(1000, '[')).has_value());
}

TEST_F(Text, AMaskIsWhatAllowsSays) {
  for (const std::string begun : {"", "{\"s\": \"", "{\"s\": \"né", "{\"s\": \"\\u00"}) {
    const auto constrained =
        grammar({.gbnf = *json_schema_to_gbnf(R"({"type":"object","properties":{"s":{"type":"string"}}})")});
    ASSERT_EQ(accepted(*constrained, begun), begun);
    std::vector<float> logits(static_cast<size_t>(vocab_->size()), 1.0F);
    constrained->mask(logits);
    for (int32_t token = 0; token < vocab_->size(); ++token) {
      ASSERT_EQ(!std::isinf(logits[static_cast<size_t>(token)]), constrained->allows(token)) << begun << token;
    }
  }
}

TEST_F(Text, AGrammarMayNameTokens) {
  const auto constrained = grammar({.gbnf = "root ::= <[1]> \"a\""});
  std::vector<float> logits(static_cast<size_t>(vocab_->size()), 1.0F);
  constrained->mask(logits);
  EXPECT_EQ(logits[1], 1.0F);
  EXPECT_TRUE(std::isinf(logits[1000]));
}

TEST_F(Text, ACloneGoesItsOwnWay) {
  const auto one = grammar({.gbnf = "root ::= \"ab\" (\"cd\" | \"ef\")"});
  EXPECT_EQ(accepted(*one, "ab"), "ab");
  const auto other = one->clone();
  EXPECT_EQ(accepted(*one, "cd"), "cd.");
  EXPECT_EQ(accepted(*other, "ef"), "ef.");
}

TEST_F(Text, TokensThatAreNotAllowedChangeNothing) {
  const auto constrained = grammar({.gbnf = "root ::= \"ab\" \"cd\""});
  const int32_t wrong = vocab_->tokenize("zz", false, false)->front();
  constrained->accept(wrong);
  constrained->accept(vocab_->eos());
  constrained->accept(-1);
  EXPECT_EQ(accepted(*constrained, "abcd"), "abcd.");
}

TEST_F(Text, BadGrammarsAreErrors) {
  for (const std::string bad : {"", "root ::= \"a", "root ::= other", "x ::= \"a\"", "root ::= root \"a\""}) {
    EXPECT_FALSE(Grammar::make(*vocab_, {.gbnf = bad}).has_value()) << bad;
  }
  // The library would make rules until there is no memory left.
  for (const std::string least_over_most : {"{5,4}", " { 5 , #\n 4 } ", "\"\\\"\" [\\]{] \"a\"{2000,1999}"}) {
    const auto made = Grammar::make(*vocab_, {.gbnf = "root ::= ([a-z]" + least_over_most + ")"});
    ASSERT_FALSE(made.has_value()) << least_over_most;
    EXPECT_NE(made.error().message.find("at most"), std::string::npos) << made.error().message;
  }
  EXPECT_TRUE(Grammar::make(*vocab_, {.gbnf = "root ::= \"{5,4}\" [{5,4}]{4,5} # {5,4}"}).has_value());
  const std::string deep = "root ::= " + std::string(100'000, '(') + "\"a\"" + std::string(100'000, ')');
  EXPECT_FALSE(Grammar::make(*vocab_, {.gbnf = deep}).has_value());
  EXPECT_FALSE(Grammar::make(*vocab_, {.gbnf = "root ::= \"a\"", .lazy = true, .triggers = {"(["}}).has_value());
  EXPECT_FALSE(Grammar::make(*vocab_, {.gbnf = "root ::= \"a\"", .prefill = "b"}).has_value());
}

TEST_F(Text, ALazyGrammarWhoseTriggerIsFollowedByOtherTextLetsGo) {
  const auto constrained = grammar({.gbnf = "root ::= \"<go>\" \"ab\"", .lazy = true, .triggers = {"<go>\\w"}});
  EXPECT_EQ(accepted(*constrained, "x <go>zzz more"), "x <go>zzz more.");
}

TEST(TokenTree, ParentsAreTheLongestProperBeginning) {
  const std::vector<std::string> pieces = {"a", "ab", "abc", "b", "", "abd", "ab", "END", std::string(1, '\0'), "E"};
  const std::vector<int32_t> apart = {7};
  const TokenTree tree = TokenTree::make(pieces, apart);
  ASSERT_EQ(tree.tokens.size(), pieces.size());
  EXPECT_EQ(tree.levels.size(), 3U);
  for (const TokenTree::Node& node : tree.tokens) {
    const std::string parent =
        node.parent < 0 ? "-" : pieces[static_cast<size_t>(tree.tokens[static_cast<size_t>(node.parent)].token)];
    const std::string expected[] = {"-", "a", "ab", "-", "-", "ab", "a", "-", "-", "-"};
    EXPECT_EQ(parent, expected[node.token]) << node.token;
  }
  EXPECT_TRUE(tree.never == 4 || tree.never == 8);
}

TEST(NestingDepth, CountsOutsideOfStrings) {
  EXPECT_EQ(nesting_depth(""), 0);
  EXPECT_EQ(nesting_depth("[{()}]"), 3);
  EXPECT_EQ(nesting_depth("[]]]]]"), 1);
  EXPECT_EQ(nesting_depth(R"(["[[[[", "\"[[["])"), 1);
}

}  // namespace
}  // namespace payonce::engine
