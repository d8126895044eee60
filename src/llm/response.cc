#include "llm/response.h"

#include <boost/json.hpp>

#include "llm/codec.h"

namespace payonce::llm {
namespace json = boost::json;

namespace codec {

std::string_view text_of(const json::object& from, std::string_view name) {
  const json::value* value = from.if_contains(name);
  return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : std::string_view();
}

const json::object* object_of(const json::object& from, std::string_view name) {
  const json::value* value = from.if_contains(name);
  return value == nullptr ? nullptr : value->if_object();
}

const json::array* array_of(const json::object& from, std::string_view name) {
  const json::value* value = from.if_contains(name);
  return value == nullptr ? nullptr : value->if_array();
}

base::Result<json::object> parse_object(std::string_view text) {
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = 256;
  json::value value = json::parse(text, error, {}, options);
  if (error) return base::fail(base::Code::kInvalid, "not JSON: " + error.message());
  if (!value.is_object()) return base::fail(base::Code::kInvalid, "not a JSON object");
  return std::move(value.get_object());
}

}  // namespace codec

namespace {

Analysis incomplete(std::string reason) { return {.complete = false, .reason = std::move(reason)}; }

// Embeddings and token counts: one document, no stream.
Analysis analyse_plain(Dialect dialect, const json::object& body) {
  Analysis out;
  out.model = codec::text_of(body, "model");
  if (body.contains("error")) return incomplete("error object");
  if (dialect == Dialect::kAnthropicCountTokens) {
    out.complete = body.contains("input_tokens");
    if (!out.complete) out.reason = "no input_tokens";
    return out;  // counting is free: no usage
  }
  const json::array* data = codec::array_of(body, "data");
  out.complete = data != nullptr && !data->empty();
  if (!out.complete) out.reason = "no data";
  if (const json::object* usage = codec::object_of(body, "usage")) {
    out.usage.known = true;
    const json::value* tokens = usage->if_contains("prompt_tokens");
    boost::system::error_code error;
    if (tokens != nullptr) out.usage.fresh = tokens->to_number<int64_t>(error);
  }
  return out;
}

Analysis analyse_json(Dialect dialect, std::string_view body) {
  const auto parsed = codec::parse_object(body);
  if (!parsed) return incomplete(parsed.error().message);
  switch (dialect) {
    case Dialect::kOpenAiChat:
    case Dialect::kOpenAiCompletions: return codec::Chat::analyse_json(*parsed);
    case Dialect::kOpenAiResponses: return codec::Responses::analyse_json(*parsed);
    case Dialect::kAnthropicMessages: return codec::Messages::analyse_json(*parsed);
    case Dialect::kGemini: return codec::Gemini::analyse_json(*parsed);
    case Dialect::kOpenAiEmbeddings:
    case Dialect::kAnthropicCountTokens: return analyse_plain(dialect, *parsed);
    case Dialect::kOther: break;
  }
  return incomplete("unknown endpoint");
}

Analysis analyse_stream(Dialect dialect, std::string_view body) {
  switch (dialect) {
    case Dialect::kOpenAiChat:
    case Dialect::kOpenAiCompletions: return codec::Chat::analyse_stream(body);
    case Dialect::kOpenAiResponses: return codec::Responses::analyse_stream(body);
    case Dialect::kAnthropicMessages: return codec::Messages::analyse_stream(body);
    case Dialect::kGemini: return codec::Gemini::analyse_stream(body);
    default: return incomplete("this endpoint does not stream");
  }
}

// The last line of the text that is not blank.
std::string_view last_line(std::string_view text) {
  const size_t last = text.find_last_not_of("\r\n");
  if (last == std::string_view::npos) return {};
  size_t begin = last;  // find_last_of() would call memchr() for each character: each piece of a stream passes here
  while (begin > 0 && text[begin - 1] != '\r' && text[begin - 1] != '\n') --begin;
  return text.substr(begin, last + 1 - begin);
}

}  // namespace

Analysis analyse(Dialect dialect, Form form, std::string_view body) {
  try {
    return form == Form::kJson ? analyse_json(dialect, body) : analyse_stream(dialect, body);
  } catch (const std::exception& error) {
    return incomplete(error.what());
  }
}

base::Result<std::string> to_stream(Dialect dialect, std::string_view body, bool include_usage) {
  PAYONCE_TRY(const json::object parsed, codec::parse_object(body));
  try {
    switch (dialect) {
      case Dialect::kOpenAiChat: return codec::Chat::to_stream(parsed, false, include_usage);
      case Dialect::kOpenAiCompletions: return codec::Chat::to_stream(parsed, true, include_usage);
      case Dialect::kOpenAiResponses: return codec::Responses::to_stream(parsed);
      case Dialect::kAnthropicMessages: return codec::Messages::to_stream(parsed);
      default: return base::fail(base::Code::kInvalid, "this endpoint has one framing");
    }
  } catch (const std::exception& error) {
    return base::fail(base::Code::kInvalid, error.what());
  }
}

base::Result<std::string> to_json(Dialect dialect, std::string_view stream) {
  try {
    switch (dialect) {
      case Dialect::kOpenAiChat: return codec::Chat::to_json(stream, false);
      case Dialect::kOpenAiCompletions: return codec::Chat::to_json(stream, true);
      case Dialect::kOpenAiResponses: return codec::Responses::to_json(stream);
      case Dialect::kAnthropicMessages: return codec::Messages::to_json(stream);
      default: return base::fail(base::Code::kInvalid, "this endpoint has one framing");
    }
  } catch (const std::exception& error) {
    return base::fail(base::Code::kInvalid, error.what());
  }
}

std::string restream(Dialect dialect, std::string_view stream, bool include_usage) {
  const bool chunks = dialect == Dialect::kOpenAiChat || dialect == Dialect::kOpenAiCompletions;
  return include_usage || !chunks ? std::string(stream) : codec::Chat::without_usage(stream);
}

bool ends_stream(Dialect dialect, std::string_view chunk) {
  std::string_view line = last_line(chunk);
  if (!line.starts_with("data:")) return false;
  line.remove_prefix(5);
  const std::string_view start = line.substr(0, 256);
  switch (dialect) {
    case Dialect::kOpenAiChat:
    case Dialect::kOpenAiCompletions: return start == "[DONE]" || start == " [DONE]";
    case Dialect::kOpenAiResponses:
      return start.find("\"response.completed\"") != std::string_view::npos ||
             start.find("\"response.incomplete\"") != std::string_view::npos;
    case Dialect::kAnthropicMessages:
      return line.size() < 256 && start.find("\"message_stop\"") != std::string_view::npos;
    default: return false;
  }
}

}  // namespace payonce::llm
