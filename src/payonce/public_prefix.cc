#include "payonce/public_prefix.h"

#include <algorithm>
#include <boost/json.hpp>
#include <string_view>

namespace payonce {
namespace {

std::string conversation(const std::string& system, std::string_view user) {
  namespace json = boost::json;
  return json::serialize(json::array{json::object{{"role", "system"}, {"content", system}},
                                     json::object{{"role", "user"}, {"content", user}}});
}

}  // namespace

base::Result<std::vector<int32_t>> public_prefix_tokens(const std::string& system, const engine::ChatTemplate& chat,
                                                        const engine::VocabPort& vocab) {
  const auto tokens_of = [&](std::string_view user) -> base::Result<std::vector<int32_t>> {
    engine::ChatTemplate::Input input;
    input.messages_json = conversation(system, user);
    PAYONCE_TRY(const engine::RenderedChat rendered, chat.render(input));
    return vocab.tokenize(rendered.prompt);
  };
  PAYONCE_TRY(std::vector<int32_t> one, tokens_of("Hello"));
  PAYONCE_TRY(const std::vector<int32_t> other, tokens_of("0"));
  const auto [end, unused] = std::ranges::mismatch(one, other);
  one.erase(end, one.end());
  if (one.empty())
    return base::fail(base::Code::kInvalid, "the chat template puts nothing before the user's words to be shared");
  return one;
}

}  // namespace payonce
