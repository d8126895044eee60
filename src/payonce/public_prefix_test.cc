#include "payonce/public_prefix.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace payonce {
namespace {

using Tokens = std::vector<int32_t>;

// "<system>S</system><user>U</user>", or without the system's words, as a template that has no place for them.
class ScriptedTemplate final : public engine::ChatTemplate {
 public:
  explicit ScriptedTemplate(bool has_system = true) : has_system_(has_system) {}
  base::Result<engine::RenderedChat> render(const Input& input) const override {
    const auto messages = boost::json::parse(input.messages_json).as_array();
    const auto words = [&](size_t index) { return std::string(messages.at(index).at("content").as_string()); };
    engine::RenderedChat out;
    out.prompt = (has_system_ ? "[" + words(0) + "]" : "") + words(1) + "!";
    return out;
  }
  engine::ChatMessage parse(const std::string&, const engine::ChatSyntax*, bool) const override { return {}; }

 private:
  const bool has_system_;
};

// One token a letter.
engine::VocabPort letters() {
  engine::VocabPort port;
  port.tokenize = [](std::string_view text) -> base::Result<Tokens> { return Tokens(text.begin(), text.end()); };
  return port;
}

TEST(PublicPrefix, IsWhatTwoConversationsHaveInCommonBeforeTheUsersWords) {
  const auto tokens = public_prefix_tokens("be kind", ScriptedTemplate(), letters());
  ASSERT_TRUE(tokens) << tokens.error().message;
  EXPECT_EQ(std::string(tokens->begin(), tokens->end()), "[be kind]");
}

TEST(PublicPrefix, ATokenThatTheUsersWordsMayChangeIsNotInIt) {
  engine::VocabPort pairs;  // two letters a token, so the bracket's token depends on what follows it
  pairs.tokenize = [](std::string_view text) -> base::Result<Tokens> {
    Tokens out;
    for (size_t i = 0; i < text.size(); i += 2)
      out.push_back(text[i] * 256 + (i + 1 < text.size() ? text[i + 1] : 0));
    return out;
  };
  EXPECT_EQ(public_prefix_tokens("be kind", ScriptedTemplate(), pairs)->size(), 4u);
}

TEST(PublicPrefix, ATemplateWithoutAPlaceForItIsAnError) {
  EXPECT_FALSE(public_prefix_tokens("be kind", ScriptedTemplate(false), letters()));
}

}  // namespace
}  // namespace payonce
