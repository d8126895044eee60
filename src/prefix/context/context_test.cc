#include "prefix/context/context.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <string>
#include <vector>

#include "llm/json_edit.h"
#include "prefix/context/documents.h"

namespace payonce::prefix {
namespace {

using llm::Dialect;

std::string document(int number) {
  std::string out = fmt::format("<document id=\"{}\">\n", number);
  for (int line = 0; line < 8; ++line)
    out += fmt::format("Fact {} of topic {}: it is “so” and not otherwise.\n", line, number);
  return out + "</document>";
}

std::string documents(const std::vector<int>& numbers) {
  std::string out;
  for (const int number : numbers) out += (out.empty() ? "" : "\n") + document(number);
  return out;
}

std::string user(const std::string& text) {
  return fmt::format(R"({{"role":"user","content":{}}})", llm::json_string(text));
}
std::string assistant(const std::string& text) {
  return fmt::format(R"({{"role":"assistant","content":{}}})", llm::json_string(text));
}

class Context : public ::testing::Test {
 protected:
  struct Sent {
    std::string body;  // as planned, or as it came
    ContextPlan plan;
    std::vector<std::string> texts;  // of its blocks
  };
  Sent send(const std::string& messages, Dialect dialect = Dialect::kAnthropicMessages) {
    const std::string body = fmt::format(R"({{"model":"m","max_tokens":9,"system":"Be brief.","{}":[{}]}})",
                                         dialect == Dialect::kOpenAiResponses ? "input" : "messages", messages);
    const auto request = llm::parse_request(dialect, base::Bytes(std::string(body))).value();
    Sent out;
    out.plan = arranger_.plan({.prompt = read_prompt(request, hash_).value(),
                               .account = "a",
                               .scope = scope_,
                               .order = order_,
                               .drop_repeats = drop_repeats_,
                               .has_marks = has_marks_},
                              hash_);
    EXPECT_EQ(out.plan.fault, "");
    out.body = out.plan.body.empty() ? body : out.plan.body;
    const auto made = llm::parse_request(dialect, base::Bytes(std::string(out.body))).value();
    const Prompt prompt = read_prompt(made, hash_).value();
    for (const Block& block : prompt.blocks)
      out.texts.push_back(block.text_node == kNoNode ? "" : prompt.text(block.text_node));
    return out;
  }

  base::KeyedHash hash_{"test"};
  ContextArranger arranger_;
  std::string scope_ = "u-1";
  bool order_ = true, drop_repeats_ = false, has_marks_ = true;
};

TEST_F(Context, DocumentsGetAPartOfTheirOwnBeforeTheQuestion) {
  const Sent sent = send(user("Answer from these:\n" + documents({1, 2, 3}) + "\n\nWho?"));
  ASSERT_EQ(sent.texts.size(), 3u);
  EXPECT_EQ(sent.texts[1], "Answer from these:\n" + documents({1, 2, 3}) + "\n\n");
  EXPECT_EQ(sent.texts[2], "Who?");
  EXPECT_EQ(sent.plan.apart, 1u);
  EXPECT_EQ(sent.plan.ordered, 0u);
}

TEST_F(Context, EqualSetsMakeEqualPrefixesAndTheRankingFollows) {
  const Sent first = send(user(documents({3, 1, 2}) + "\n\nWho?"));
  const Sent second = send(user(documents({1, 2, 3}) + "\n\nWhy?"));
  EXPECT_EQ(second.texts[1], first.texts[1]);
  EXPECT_EQ(second.texts[2], "Most relevant first: document 1, document 2, document 3.\n\nWhy?");
  EXPECT_EQ(second.plan.ordered, 1u);
}

TEST_F(Context, WithoutMarksTheTextStaysOneString) {
  has_marks_ = false;
  const Sent first = send(user(documents({3, 1}) + "\n\nWho?"), Dialect::kOpenAiChat);
  EXPECT_EQ(first.plan.body, "");
  const Sent second = send(user(documents({1, 3}) + "\n\nWho?"), Dialect::kOpenAiChat);
  ASSERT_EQ(second.texts.size(), 1u);
  EXPECT_EQ(second.texts[0], documents({3, 1}) + "\n\nMost relevant first: document 1, document 3.\n\nWho?");
}

TEST_F(Context, AConversationKeepsWhatItWasSentAs) {
  send(user(documents({2, 1}) + "\n\nWho?"));
  const std::string turn = user(documents({1, 2}) + "\n\nWho?");
  const Sent first = send(turn);
  for (const auto& other : {std::vector{1, 4}, {1, 5}, {1, 6}}) send(user(documents(other) + "\n\nWhat?"));
  const Sent second = send(turn + "," + assistant("He.") + "," + user("And then?"));
  ASSERT_GT(second.texts.size(), first.texts.size());
  for (size_t i = 0; i < first.texts.size(); ++i) EXPECT_EQ(second.texts[i], first.texts[i]);
}

TEST_F(Context, OneScopeDoesNotOrderForAnother) {
  send(user(documents({3, 1, 2}) + "\n\nWho?"));
  scope_ = "u-2";
  EXPECT_EQ(send(user(documents({1, 2, 3}) + "\n\nWhy?")).plan.ordered, 0u);
}

TEST_F(Context, ARepeatedDocumentIsNamed) {
  order_ = false;
  drop_repeats_ = true;
  const Sent sent = send(user(documents({1, 2}) + "\n\nWho?") + "," + assistant("He.") + "," +
                         user(documents({2, 3}) + "\n\nWhy?"));
  EXPECT_EQ(sent.plan.repeats, 1u);
  ASSERT_EQ(sent.texts.size(), 4u);
  EXPECT_EQ(sent.texts[1], documents({1, 2}) + "\n\nWho?");
  EXPECT_EQ(sent.texts[3],
            "<document id=\"2\">Fact 0 of topic 2: it is “so” and not otherwise. … (in full above)</document>\n" +
                documents({3}) + "\n\nWhy?");
  const Sent alone = send(user(documents({2, 3}) + "\n\nWhy?"));
  EXPECT_EQ(alone.plan.body, "");  // it stands nowhere else now
}

TEST_F(Context, ALongDocumentGoesBeforeWordsThatChange) {
  const std::string long_ones = documents({1, 2, 3, 4, 5, 6, 7});
  EXPECT_EQ(send(user("Who is the third?\n" + long_ones)).plan.first, 0u);
  const Sent second = send(user("Why is he not here?\n" + long_ones));
  EXPECT_EQ(second.plan.first, 1u);
  EXPECT_EQ(second.texts[1], long_ones);
  EXPECT_EQ(second.texts[2], "Why is he not here?\n");
  // Words that came with other documents before are the template's.
  send(user("Answer in French.\n" + documents({11, 12, 13, 14, 15, 16, 17})));
  EXPECT_EQ(send(user("Answer in French.\n" + long_ones)).plan.first, 0u);
}

TEST_F(Context, PartsAreOrderedAndMarkersStayWhereTheyStood) {
  const auto part = [](int i, const char* more) {
    return fmt::format(
        R"({{"type":"document","title":"T{}","source":{{"type":"text","media_type":"text/plain","data":"d{}"}}{}}})",
        i, i, more);
  };
  const auto turn = [&](int a, int b, const char* more = "") {
    return fmt::format(R"({{"role":"user","content":[{},{},{{"type":"text","text":"Who?"}}]}})", part(a, ""),
                       part(b, more));
  };
  send(turn(2, 1));
  const Sent second = send(turn(1, 2, R"(,"cache_control":{"type":"ephemeral"})"));
  EXPECT_EQ(second.plan.ordered, 1u);
  EXPECT_LT(second.body.find("\"T2\""), second.body.find("\"T1\""));
  EXPECT_LT(second.body.find("\"T1\""), second.body.find("cache_control"));
  EXPECT_EQ(second.texts[3], "Most relevant first: T1, T2.");
  // Citations name documents by number.
  send(turn(4, 3));
  EXPECT_EQ(send(turn(3, 4, R"(,"citations":{"enabled":true})")).plan.ordered, 0u);
}

// Whatever stands in a text: documents lie in it one behind the other, and what is sent is proved.
TEST_F(Context, AnyTextIsArrangedProvablyOrNotAtAll) {
  rc::check([this] {
    drop_repeats_ = *rc::gen::arbitrary<bool>();
    has_marks_ = *rc::gen::arbitrary<bool>();
    std::string messages;
    for (int turn = 0; turn < 3; ++turn) {
      std::string text;
      const int pieces = *rc::gen::inRange(1, 9);
      for (int i = 0; i < pieces; ++i) {
        const int number = *rc::gen::inRange(1, 5);
        text += *rc::gen::element<std::string>(
            document(number), "\n", "\n\n", "\n---\n", "Context:\n", "Question: who?", "<documents>", "</documents>",
            fmt::format("[{}] {}", number, document(number).substr(20, 150)), fmt::format("Document {}: x", number),
            "<context>\n", "\n</context>", "<doc>", "</doc>", "Who is “it”?");
      }
      if (const auto run = documents_of(text)) {
        uint32_t at = run->begin;
        for (const Document& one : run->documents) {
          RC_ASSERT(one.begin >= at && one.size > 0);
          at = one.begin + one.size;
        }
        RC_ASSERT(at <= run->end && run->end <= text.size());
      }
      messages += (turn > 0 ? "," : "") + user(text) + "," + assistant("Yes.");
    }
    const Dialect dialect =
        *rc::gen::element(Dialect::kAnthropicMessages, Dialect::kOpenAiChat, Dialect::kOpenAiResponses);
    RC_ASSERT(send(messages, dialect).plan.fault.empty());
  });
}

TEST_F(Context, ALayoutThatLosesOrDoublesTextIsRefused) {
  const std::string body = R"({"model":"m","messages":[{"role":"user","content":"one two"}]})";
  const auto request = llm::parse_request(Dialect::kOpenAiChat, base::Bytes(std::string(body))).value();
  const Prompt prompt = read_prompt(request, hash_).value();
  Texts texts(prompt);
  const auto check = [&](std::vector<Span> spans) {
    UnitLayout layout{.unit = 0, .parts = {{}}};
    for (const Span& span : spans) layout.parts[0].pieces.push_back({.of = span, .ours = {}, .repeats = {}});
    const std::vector<UnitLayout> layouts{layout};
    return check_layouts(prompt, texts, layouts, write_layouts(prompt, texts, layouts), hash_).has_value();
  };
  EXPECT_TRUE(check({{0, 4, 7}, {0, 0, 4}}));
  EXPECT_FALSE(check({{0, 4, 7}, {0, 0, 3}}));
  EXPECT_FALSE(check({{0, 0, 7}, {0, 0, 4}}));
  const std::vector<UnitLayout> layouts{
      {.unit = 0, .parts = {{.pieces = {{.of = {0, 0, 7}, .ours = {}, .repeats = {}}}}}}};
  EXPECT_FALSE(check_layouts(prompt, texts, layouts,
                             R"({"model":"m","messages":[{"role":"user","content":"one twO"}]})", hash_));
  EXPECT_FALSE(check_layouts(prompt, texts, layouts,
                             R"({"model":"n","messages":[{"role":"user","content":"one two"}]})", hash_));
}

}  // namespace
}  // namespace payonce::prefix
