#include "engine/model/chat_template.h"

#include <chat.h>
#include <fmt/format.h>
#include <json-schema-to-grammar.h>
#include <llama.h>

#include <exception>
#include <mutex>

#include "engine/model/json_depth.h"
#include "engine/model/library_log.h"

namespace payonce::engine {

struct ChatSyntax {
  common_chat_parser_params params;
};

namespace {

constexpr size_t kMaxSchemaBytes = 1 << 20;

// For models that speak ChatML but whose template has no place for tools: the tools go into the system message, calls
// and results are written as Hermes and Qwen models do, which the library's parser recognises.
constexpr const char* kChatMlWithTools = R"({%- if tools %}
{{- '<|im_start|>system\n' }}
{%- if messages[0].role == 'system' %}{{- messages[0].content + '\n\n' }}{%- endif %}
{{- 'You may call these functions, given as JSON:\n<tools>' }}
{%- for tool in tools %}{{- '\n' + (tool | tojson) }}{%- endfor %}
{{- '\n</tools>\nTo call one, answer with its name and arguments as JSON:\n<tool_call>\n{"name": NAME, ' }}
{{- '"arguments": ARGUMENTS}\n</tool_call><|im_end|>\n' }}
{%- elif messages[0].role == 'system' %}
{{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}
{%- endif %}
{%- for message in messages %}
{%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}
{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}
{%- elif message.role == 'assistant' %}
{{- '<|im_start|>assistant\n' }}
{%- if message.content %}{{- message.content }}{%- endif %}
{%- if message.tool_calls %}
{%- for call in message.tool_calls %}
{%- if message.content or not loop.first %}{{- '\n' }}{%- endif %}
{{- '<tool_call>\n{"name": "' + call.function.name + '", "arguments": ' }}
{{- call.function.arguments | tojson }}
{{- '}\n</tool_call>' }}
{%- endfor %}
{%- endif %}
{{- '<|im_end|>\n' }}
{%- elif message.role == 'tool' %}
{{- '<|im_start|>user\n<tool_response>\n' + message.content + '\n</tool_response><|im_end|>\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %})";

// Runs `work`; what the library throws becomes kInvalid, since these exceptions speak about what they were given.
template <typename Work>
auto guarded(const char* what, Work&& work) -> decltype(work()) {
  quiet_libraries();
  try {
    return work();
  } catch (const std::exception& error) {
    return base::fail(base::Code::kInvalid, fmt::format("{}: {}", what, error.what()));
  } catch (...) {
    return base::fail(base::Code::kInvalid, fmt::format("{}: unknown error", what));
  }
}

base::Status check_depth(const char* what, const std::string& text) {
  if (nesting_depth(text) <= kMaxJsonDepth) return {};
  return base::fail(base::Code::kInvalid, fmt::format("{}: nested deeper than {} levels", what, kMaxJsonDepth));
}

common_chat_templates_inputs inputs_of(const ChatTemplate::Input& input) {
  common_chat_templates_inputs out;
  out.messages = common_chat_msgs_parse_oaicompat(common_json::parse(input.messages_json));
  if (!input.tools_json.empty()) out.tools = common_chat_tools_parse_oaicompat(common_json::parse(input.tools_json));
  out.tool_choice = common_chat_tool_choice_parse_oaicompat(input.tool_choice);
  out.json_schema = input.json_schema;
  out.grammar = input.grammar;
  out.parallel_tool_calls = input.parallel_tool_calls;
  out.add_generation_prompt = input.add_generation_prompt;
  out.reasoning_format = COMMON_REASONING_FORMAT_DEEPSEEK;
  out.enable_thinking = input.enable_thinking;
  out.use_jinja = true;
  for (const auto& [name, value] : input.kwargs) {
    out.chat_template_kwargs[name] = value;
    if (name == "enable_thinking") out.enable_thinking = value == "true";
  }
  return out;
}

// A word as a pattern that finds it.
std::string escaped(const std::string& word) {
  std::string out;
  for (const char c : word) {
    if (std::string_view(".^$|()*+?[]{}\\").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

std::string pattern_of(const common_grammar_trigger& trigger) {
  switch (trigger.type) {
    case COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN: return trigger.value;
    case COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN_FULL:
      return fmt::format("{}{}{}", trigger.value.starts_with('^') ? "" : "^", trigger.value,
                         trigger.value.ends_with('$') && trigger.value.size() > 1 ? "" : "$");
    default:  // a word, or a token by its text
      return escaped(trigger.value);
  }
}

bool knows_tools(const common_chat_templates* templates) {
  const auto caps = common_chat_templates_get_caps(templates);
  const auto found = caps.find("supports_tools");
  return found != caps.end() && found->second;
}

// Templates are told the date, which the library reads by std::localtime(): one struct for the whole process.
common_chat_params apply(const common_chat_templates* templates, const common_chat_templates_inputs& inputs) {
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  return common_chat_templates_apply(templates, inputs);
}

class LlamaChatTemplate final : public ChatTemplate {
 public:
  LlamaChatTemplate(const Vocab& vocab, common_chat_templates_ptr templates, common_chat_templates_ptr with_tools)
      : vocab_(vocab), templates_(std::move(templates)), with_tools_(std::move(with_tools)) {}

  base::Result<RenderedChat> render(const Input& input) const override {
    for (const std::string* text : {&input.messages_json, &input.tools_json, &input.json_schema}) {
      PAYONCE_CHECK_OK(check_depth("request", *text));
    }
    if (!input.grammar.empty() && !input.json_schema.empty()) {
      return base::fail(base::Code::kInvalid, "a JSON schema and a grammar cannot both be asked for");
    }
    return guarded("chat template", [&]() -> base::Result<RenderedChat> {
      common_chat_templates_inputs inputs = inputs_of(input);
      const bool with_tools = !inputs.tools.empty() && inputs.tool_choice != COMMON_CHAT_TOOL_CHOICE_NONE;
      if (with_tools && !input.grammar.empty()) {
        return base::fail(base::Code::kInvalid, "tools and a grammar cannot both be asked for");
      }
      const common_chat_templates* templates = with_tools && with_tools_ ? with_tools_.get() : templates_.get();
      if (with_tools && !knows_tools(templates)) {
        return base::fail(base::Code::kInvalid, "tools: this model's chat template has no place for them");
      }
      return rendered(apply(templates, inputs), input, with_tools);
    });
  }

  ChatMessage parse(const std::string& text, const ChatSyntax* syntax, bool partial) const override {
    ChatMessage out;
    if (!syntax) {
      out.content = text;
      return out;
    }
    quiet_libraries();
    try {
      common_chat_msg message = common_chat_parse(text, partial, syntax->params);
      out.content = message.render_content();
      out.reasoning = std::move(message.reasoning_content);
      for (common_chat_tool_call& call : message.tool_calls) {
        out.tool_calls.push_back({std::move(call.id), std::move(call.name), std::move(call.arguments)});
      }
    } catch (const std::exception&) {
      out = {.content = text};
    }
    return out;
  }

 private:
  RenderedChat rendered(common_chat_params params, const Input& input, bool with_tools) const {
    RenderedChat out;
    auto syntax = std::make_shared<ChatSyntax>();
    syntax->params = common_chat_parser_params(params);
    syntax->params.reasoning_format = COMMON_REASONING_FORMAT_DEEPSEEK;
    syntax->params.parse_tool_calls = with_tools;
    if (!params.parser.empty()) syntax->params.parser.load(params.parser);
    out.syntax = std::move(syntax);
    out.prompt = std::move(params.prompt);
    // A caller's own grammar speaks about the answer alone; one that the template made begins where the prompt's
    // generation part begins.
    if (input.grammar.empty() && !params.grammar_lazy) out.grammar_prefill = params.generation_prompt;
    out.grammar = std::move(params.grammar);
    out.grammar_lazy = params.grammar_lazy;
    if (out.grammar.empty()) out.grammar = input.grammar;
    if (!input.json_schema.empty() && !with_tools && !params.supports_thinking) {
      // The template's grammar would also allow a ```json fence around the answer.
      out.grammar = json_schema_to_grammar(common_json::parse(input.json_schema));
      out.grammar_prefill.clear();
      out.syntax = nullptr;
    }
    if (out.grammar.empty()) out.grammar_prefill.clear();
    for (const auto& trigger : params.grammar_triggers) out.grammar_triggers.push_back(pattern_of(trigger));
    out.stops = std::move(params.additional_stops);
    for (const std::string& text : params.preserved_tokens) {
      const auto tokens = vocab_.tokenize(text, false, true);
      if (tokens && tokens->size() == 1) out.shown_tokens.push_back(tokens->front());
    }
    return out;
  }

  const Vocab& vocab_;
  common_chat_templates_ptr templates_;
  common_chat_templates_ptr with_tools_;  // instead of the model's when there are tools; null: the model's knows them
};

}  // namespace

base::Result<std::unique_ptr<ChatTemplate>> ChatTemplate::make(const Vocab& vocab,
                                                               const std::string& override_source) {
  return guarded("chat template", [&]() -> base::Result<std::unique_ptr<ChatTemplate>> {
    auto templates = common_chat_templates_init(vocab.llama(), override_source);
    common_chat_templates_ptr with_tools;
    const bool chat_ml = common_chat_templates_source(templates.get()).find("<|im_start|>") != std::string::npos;
    if (chat_ml && override_source.empty() && !knows_tools(templates.get())) {
      with_tools = common_chat_templates_init(vocab.llama(), kChatMlWithTools);
    }
    return std::make_unique<LlamaChatTemplate>(vocab, std::move(templates), std::move(with_tools));
  });
}

base::Result<std::string> json_schema_to_gbnf(const std::string& schema_json) {
  if (schema_json.size() > kMaxSchemaBytes) {
    return base::fail(base::Code::kTooLarge, fmt::format("JSON schema: longer than {} bytes", kMaxSchemaBytes));
  }
  PAYONCE_CHECK_OK(check_depth("JSON schema", schema_json));
  return guarded("JSON schema", [&]() -> base::Result<std::string> {
    return json_schema_to_grammar(common_json::parse(schema_json));
  });
}

}  // namespace payonce::engine
