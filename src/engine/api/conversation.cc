#include "engine/api/conversation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/json/serialize.hpp>

#include "engine/api/cache_control.h"
#include "engine/api/sampling_fields.h"

namespace payonce::engine {
namespace {
namespace json = boost::json;

// What a stand-in turn says where a template wants a user's turn behind what is cut off; it must differ from what
// stands there in the whole prompt, and hardly any text begins with it.
constexpr std::string_view kStandIn = "\xE2\x97\x8C";  // U+25CC

std::string text_of(const Turn& turn, size_t parts) {
  return fmt::format("{}", fmt::join(turn.parts.begin(), turn.parts.begin() + static_cast<ptrdiff_t>(parts), "\n"));
}

json::object message_of(const Turn& turn, size_t parts, size_t calls) {
  json::object out{{"role", turn.role}, {"content", text_of(turn, parts)}};
  if (!turn.reasoning.empty()) out["reasoning_content"] = turn.reasoning;
  if (calls > 0) out["tool_calls"] = json::array(turn.tool_calls.begin(), turn.tool_calls.begin() + calls);
  if (!turn.tool_call_id.empty()) out["tool_call_id"] = turn.tool_call_id;
  if (!turn.name.empty()) out["name"] = turn.name;
  return out;
}

json::array messages_of(const std::vector<Turn>& turns, size_t count) {
  json::array out;
  for (size_t i = 0; i < count; ++i)
    out.push_back(message_of(turns[i], turns[i].parts.size(), turns[i].tool_calls.size()));
  return out;
}

std::string_view name_of(const json::value& tool) { return tool.at("function").at("name").get_string(); }

json::array only(const json::array& tools, const std::vector<std::string>& names) {
  json::array out;
  for (const json::value& tool : tools)
    if (std::find(names.begin(), names.end(), name_of(tool)) != names.end()) out.push_back(tool);
  return out;
}

base::Status check_choice(const Conversation& conversation) {
  if (conversation.tools.empty() && (conversation.tool_choice == "required" || !conversation.callable.empty()))
    return base::fail(base::Code::kInvalid, "'tool_choice' asks for a tool call, but there are no 'tools'");
  for (const std::string& name : conversation.callable)
    if (only(conversation.tools, {name}).empty())
      return base::fail(base::Code::kInvalid,
                        fmt::format("'tool_choice' names '{}', which is not among the 'tools'", name));
  const bool may_call = !conversation.tools.empty() && conversation.tool_choice != "none";
  if (may_call && !conversation.grammar.empty())
    return base::fail(base::Code::kInvalid,
                      "'tools' contradict a grammar for the answer: set tool_choice to \"none\", or leave one out");
  return {};
}

ChatTemplate::Input input_of(const Conversation& conversation) {
  ChatTemplate::Input input;
  input.messages_json = json::serialize(
      messages_of(conversation.turns, conversation.turns.size() - (conversation.continue_last ? 1 : 0)));
  if (!conversation.tools.empty()) input.tools_json = json::serialize(conversation.tools);
  input.tool_choice = conversation.tool_choice;
  input.json_schema = conversation.json_schema;
  input.grammar = conversation.grammar;
  input.parallel_tool_calls = conversation.parallel_tool_calls;
  input.add_generation_prompt = conversation.add_generation_prompt || conversation.continue_last;
  input.enable_thinking = conversation.enable_thinking;
  input.kwargs = conversation.kwargs;
  return input;
}

// A required call is the whole answer. llama.cpp's grammar lets any text stand before it, in which a small model
// loses itself: `root ::= … until-7? tool-calls`. Where the grammar does not look like that, it stays as it is.
void drop_text_before_calls(std::string& gbnf) {
  constexpr std::string_view kRoot = "root ::= ", kText = "until-", kCalls = "? tool-calls";
  const size_t root = gbnf.starts_with(kRoot) ? 0 : gbnf.find("\n" + std::string(kRoot));
  if (root == std::string::npos) return;
  const size_t line_end = std::min(gbnf.find('\n', root + 1), gbnf.size());
  const size_t calls = gbnf.find(kCalls, root);
  const size_t text = gbnf.rfind(kText, calls);
  if (calls >= line_end || text == std::string::npos || text < root) return;
  const std::string_view number = std::string_view(gbnf).substr(text + kText.size(), calls - text - kText.size());
  if (number.find_first_not_of("0123456789") == std::string_view::npos) gbnf.erase(text, calls + 2 - text);
}

// Some templates write BOS themselves, where the tokenizer adds it too.
base::Result<std::vector<int32_t>> tokenize(const VocabPort& vocab, const std::string& prompt) {
  PAYONCE_TRY(std::vector<int32_t> tokens, vocab.tokenize(prompt));
  if (vocab.bos >= 0 && tokens.size() > 1 && tokens[0] == vocab.bos && tokens[1] == vocab.bos)
    tokens.erase(tokens.begin());
  return tokens;
}

// The prompt of the conversation cut off at `cut`; what follows the cut in it is of no interest.
base::Result<std::string> render_cut(const RequestContext& context, const Conversation& conversation,
                                     ChatTemplate::Input input, const Cut& cut) {
  const std::vector<Turn>& turns = conversation.turns;
  const bool in_prefill = conversation.continue_last && cut.turns == turns.size();
  input.json_schema.clear();
  input.grammar.clear();
  input.add_generation_prompt = in_prefill;
  json::array messages;
  if (cut.turns == 0) {  // behind tools; most templates write the system's text before them
    input.tools_json =
        json::serialize(json::array(conversation.tools.begin(), conversation.tools.begin() + cut.tools));
    for (size_t i = 0; i < turns.size() && turns[i].role == "system"; ++i)
      messages.push_back(message_of(turns[i], turns[i].parts.size(), 0));
  } else {
    messages = messages_of(turns, cut.turns - 1);
    if (!in_prefill) messages.push_back(message_of(turns[cut.turns - 1], cut.parts, cut.tool_calls));
  }
  input.messages_json = json::serialize(messages);
  auto rendered = context.chat.render(input);
  if (!rendered || messages.empty()) {
    messages.push_back(json::object{{"role", "user"}, {"content", kStandIn}});
    input.messages_json = json::serialize(messages);
    rendered = context.chat.render(input);
  }
  if (!rendered) return base::fail(std::move(rendered.error()));
  if (in_prefill) rendered->prompt += text_of(turns.back(), cut.parts);
  return std::move(rendered->prompt);
}

// Where the cuts stand in the prompt: as far as the conversation cut there has the same tokens. A cut that its
// template cannot render is no mark: nothing depends on it but how long blocks are kept.
std::vector<CacheMark> find_marks(const RequestContext& context, const Conversation& conversation,
                                  const ChatTemplate::Input& input, const std::vector<int32_t>& tokens) {
  std::vector<CacheMark> marks;
  for (const Cut& cut : conversation.cuts) {
    const auto prompt = render_cut(context, conversation, input, cut);
    if (!prompt) continue;
    const auto cut_tokens = tokenize(context.vocab, *prompt);
    if (!cut_tokens) continue;
    const auto end = std::mismatch(tokens.begin(), tokens.end(), cut_tokens->begin(), cut_tokens->end()).first;
    const auto count = static_cast<int32_t>(end - tokens.begin());
    if (count > 0) marks.push_back({.tokens = count, .ttl_s = cut.ttl_s});
  }
  std::stable_sort(marks.begin(), marks.end(), [](const auto& a, const auto& b) { return a.tokens < b.tokens; });
  return marks;
}

}  // namespace

void Conversation::mark_here(int64_t ttl_s) {
  if (turns.empty()) return;
  const Cut cut{.turns = turns.size(),
                .parts = turns.back().parts.size(),
                .tool_calls = turns.back().tool_calls.size(),
                .ttl_s = ttl_s};
  if (cuts.empty() || cuts.back() != cut) cuts.push_back(cut);
}

base::Result<Prompt> render(const RequestContext& context, const Conversation& conversation) {
  PAYONCE_CHECK_OK(check_choice(conversation));
  const ChatTemplate::Input input = input_of(conversation);
  PAYONCE_TRY(RenderedChat rendered, context.chat.render(input));
  std::string prompt = rendered.prompt;
  if (!conversation.callable.empty()) {
    // The prompt shows all tools, so that its prefix stays the same; the grammar allows only some.
    ChatTemplate::Input narrowed = input;
    narrowed.tools_json = json::serialize(only(conversation.tools, conversation.callable));
    PAYONCE_TRY(rendered, context.chat.render(narrowed));
  }
  if (conversation.continue_last)
    prompt += text_of(conversation.turns.back(), conversation.turns.back().parts.size());
  if (conversation.tool_choice == "required") drop_text_before_calls(rendered.grammar);
  Prompt out;
  PAYONCE_TRY(out.tokens, tokenize(context.vocab, prompt));
  if (out.tokens.empty()) return base::fail(base::Code::kInvalid, "'messages' render to an empty prompt");
  out.marks = find_marks(context, conversation, input, out.tokens);
  out.shown_tokens = std::move(rendered.shown_tokens);
  out.grammar = {.gbnf = std::move(rendered.grammar),
                 .lazy = rendered.grammar_lazy,
                 .triggers = std::move(rendered.grammar_triggers),
                 .prefill = std::move(rendered.grammar_prefill)};
  out.stops = std::move(rendered.stops);
  out.syntax = std::move(rendered.syntax);
  return out;
}

base::Result<std::shared_ptr<const ChatSyntax>> set_prompt(const RequestContext& context,
                                                           const Conversation& conversation, llm::Dialect dialect,
                                                           Generate& out) {
  PAYONCE_CHECK_OK(check_marks(conversation, context.limits.max_cache_marks));
  PAYONCE_TRY(Prompt prompt, render(context, conversation));
  out.prompt = std::move(prompt.tokens);
  out.marks = std::move(prompt.marks);
  out.shown_tokens = std::move(prompt.shown_tokens);
  out.grammar = std::move(prompt.grammar);
  for (std::string& stop : prompt.stops) out.stopping.strings.push_back(std::move(stop));
  PAYONCE_CHECK_OK(check_context(context, dialect, out));
  return std::move(prompt.syntax);
}

void read_each_message(Fields& fields, const std::function<void(Fields& message)>& read) {
  const json::array* messages = fields.array("messages");
  if (messages == nullptr || messages->empty())
    return fields.refuse("messages", "must be a list of at least one message");
  for (size_t i = 0; i < messages->size() && fields.ok(); ++i) {
    const std::string path = fmt::format("messages[{}]", i);
    if (!(*messages)[i].is_object())
      return fields.refuse(path, "must be an object, but is " + describe((*messages)[i]));
    Fields message((*messages)[i].get_object(), path);
    read(message);
    if (!message.ok()) fields.refuse(message.status().error());
  }
}

}  // namespace payonce::engine
