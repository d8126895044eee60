#include <boost/json.hpp>
#include <map>

#include "llm/codec.h"
#include "llm/miss_reason.h"
#include "llm/sse.h"
#include "llm/usage.h"

namespace payonce::llm::codec {
namespace json = boost::json;
namespace {

void merge_usage(json::object& into, const json::object& from) {
  for (const auto& [key, value] : from)
    if (!value.is_null()) into[key] = value;
}

bool takes_input(const json::object& block) {
  const std::string_view type = text_of(block, "type");
  return type == "tool_use" || type == "server_tool_use" || type == "mcp_tool_use";
}

// A message as it grows, event by event.
struct MessageAssembly {
  json::object message;
  std::map<int64_t, json::object> blocks;
  std::map<int64_t, std::string> inputs;  // tool input so far, JSON text
  bool stopped = false;
  std::string problem;

  base::Status add(const SseEvent& event);
  base::Status add_delta(int64_t index, const json::object& delta);
  base::Status close_inputs();
};

base::Status refuse(std::string what) { return base::fail(base::Code::kInvalid, std::move(what)); }

base::Status MessageAssembly::add_delta(int64_t index, const json::object& delta) {
  const auto found = blocks.find(index);
  if (found == blocks.end()) return refuse("a delta for a block that has not begun");
  json::object& block = found->second;
  const std::string_view type = text_of(delta, "type");
  const auto append = [&](std::string_view field) {
    json::value& slot = block[field];
    if (!slot.is_string()) slot = "";
    slot.get_string().append(text_of(delta, field));
  };
  if (type == "text_delta") {
    append("text");
  } else if (type == "thinking_delta") {
    append("thinking");
  } else if (type == "signature_delta") {
    append("signature");
  } else if (type == "input_json_delta") {
    inputs[index] += text_of(delta, "partial_json");
  } else if (type == "citations_delta") {
    json::value& slot = block["citations"];
    if (!slot.is_array()) slot = json::array();
    slot.get_array().push_back(delta.contains("citation") ? delta.at("citation") : json::value(nullptr));
  } else {
    return refuse("unknown delta " + std::string(type));
  }
  return {};
}

base::Status MessageAssembly::add(const SseEvent& event) {
  PAYONCE_TRY(const json::object data, parse_object(event.data));
  const std::string_view type = text_of(data, "type");
  const json::value* index = data.if_contains("index");
  if (type == "message_start") {
    const json::object* begun = object_of(data, "message");
    if (begun == nullptr) return refuse("message_start without a message");
    message = *begun;
  } else if (type == "content_block_start") {
    const json::object* block = object_of(data, "content_block");
    if (block == nullptr || index == nullptr) return refuse("content_block_start without a block");
    blocks[index->to_number<int64_t>()] = *block;
  } else if (type == "content_block_delta") {
    const json::object* delta = object_of(data, "delta");
    if (delta == nullptr || index == nullptr) return refuse("content_block_delta without a delta");
    return add_delta(index->to_number<int64_t>(), *delta);
  } else if (type == "message_delta") {
    if (const json::object* delta = object_of(data, "delta"))
      for (const auto& [key, value] : *delta) message[key] = value;
    if (const json::object* usage = object_of(data, "usage")) {
      json::value& slot = message["usage"];
      if (!slot.is_object()) slot = json::object();
      merge_usage(slot.get_object(), *usage);
    }
    for (const auto& [key, value] : data)
      if (key != "type" && key != "delta" && key != "usage") message[key] = value;
  } else if (type == "message_stop") {
    stopped = true;
  } else if (type == "error") {
    return refuse("error event");
  }
  return {};
}

base::Status MessageAssembly::close_inputs() {
  for (const auto& [index, text] : inputs) {
    if (text.empty()) continue;
    boost::system::error_code error;
    json::value input = json::parse(text, error);
    if (error) return refuse("tool input is not JSON");
    blocks[index]["input"] = std::move(input);
  }
  return {};
}

base::Result<MessageAssembly> assemble(std::string_view stream) {
  MessageAssembly out;
  SseEvent event;
  while (next_event(stream, event))
    if (event.has_data) PAYONCE_CHECK_OK(out.add(event));
  PAYONCE_CHECK_OK(out.close_inputs());
  if (stream.find_first_not_of("\r\n") != std::string_view::npos)
    return base::fail(base::Code::kInvalid, "ends inside an event");
  return out;
}

void append_block(std::string& out, const json::object& block, size_t index) {
  const auto event = [&](std::string_view type, std::string_view field, json::value value) {
    append_event(out, type,
                 json::serialize(json::object{{"type", type}, {"index", index}, {field, std::move(value)}}));
  };
  const auto delta = [&](std::string_view type, std::string_view field, json::value value) {
    event("content_block_delta", "delta", json::object{{"type", type}, {field, std::move(value)}});
  };
  const std::string_view type = text_of(block, "type");
  json::object begun = block;
  if (type == "text") {
    begun["text"] = "";
    if (array_of(block, "citations") != nullptr) begun["citations"] = json::array();
  } else if (type == "thinking") {
    begun["thinking"] = "";
    begun["signature"] = "";
  } else if (takes_input(block)) {
    begun["input"] = json::object();
  }
  event("content_block_start", "content_block", std::move(begun));
  if (type == "text") {
    if (const json::array* citations = array_of(block, "citations"))
      for (const json::value& citation : *citations) delta("citations_delta", "citation", citation);
    delta("text_delta", "text", json::value(text_of(block, "text")));
  } else if (type == "thinking") {
    delta("thinking_delta", "thinking", json::value(text_of(block, "thinking")));
    delta("signature_delta", "signature", json::value(text_of(block, "signature")));
  } else if (takes_input(block) && block.contains("input")) {
    delta("input_json_delta", "partial_json", json::value(json::serialize(block.at("input"))));
  }
  append_event(out, "content_block_stop",
               json::serialize(json::object{{"type", "content_block_stop"}, {"index", index}}));
}

}  // namespace

Analysis Messages::analyse_json(const json::object& body) {
  Analysis out;
  out.model = text_of(body, "model");
  out.finish_reason = text_of(body, "stop_reason");
  if (const json::object* usage = object_of(body, "usage")) out.usage = anthropic_usage(*usage);
  out.cache_miss_reason = miss_reason(body);
  out.complete = text_of(body, "type") == "message" && !out.finish_reason.empty();
  if (!out.complete) out.reason = body.contains("error") ? "error object" : "no stop_reason";
  return out;
}

Analysis Messages::analyse_stream(std::string_view stream) {
  const auto assembled = assemble(stream);
  if (!assembled) return {.complete = false, .reason = assembled.error().message};
  Analysis out = analyse_json(assembled->message);
  if (!assembled->stopped) {
    out.complete = false;
    out.reason = "no message_stop";
  }
  return out;
}

base::Result<std::string> Messages::to_json(std::string_view stream) {
  PAYONCE_TRY(MessageAssembly assembled, assemble(stream));
  json::array content;
  for (auto& [index, block] : assembled.blocks) content.push_back(std::move(block));
  assembled.message["content"] = std::move(content);
  return json::serialize(assembled.message);
}

std::string Messages::to_stream(const json::object& body) {
  std::string out;
  json::object begun = body;
  begun["content"] = json::array();
  begun["stop_reason"] = nullptr;
  begun["stop_sequence"] = nullptr;
  json::object usage;
  if (const json::object* recorded = object_of(body, "usage")) usage = *recorded;
  json::object begun_usage = usage;
  begun_usage["output_tokens"] = 0;
  begun["usage"] = std::move(begun_usage);
  append_event(out, "message_start",
               json::serialize(json::object{{"type", "message_start"}, {"message", std::move(begun)}}));
  const json::array* content = array_of(body, "content");
  for (size_t i = 0; content != nullptr && i < content->size(); ++i) append_block(out, content->at(i).as_object(), i);
  json::object delta{
      {"stop_reason", body.contains("stop_reason") ? body.at("stop_reason") : json::value(nullptr)},
      {"stop_sequence", body.contains("stop_sequence") ? body.at("stop_sequence") : json::value(nullptr)}};
  append_event(out, "message_delta",
               json::serialize(json::object{
                   {"type", "message_delta"}, {"delta", std::move(delta)}, {"usage", std::move(usage)}}));
  append_event(out, "message_stop", R"({"type":"message_stop"})");
  return out;
}

}  // namespace payonce::llm::codec
