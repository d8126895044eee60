#include <boost/json.hpp>
#include <optional>

#include "llm/codec.h"
#include "llm/miss_reason.h"
#include "llm/sse.h"
#include "llm/usage.h"

namespace payonce::llm::codec {
namespace json = boost::json;
namespace {

// Whether `response` ended as a whole answer: completed, or cut where the caller's own token limit asked for it.
void read_status(const json::object& response, Analysis& out) {
  out.model = text_of(response, "model");
  out.finish_reason = text_of(response, "status");
  if (const json::object* usage = object_of(response, "usage")) out.usage = openai_usage(*usage);
  out.cache_miss_reason = miss_reason(response);
  if (const json::value* error = response.if_contains("error"); error != nullptr && !error->is_null()) {
    out.reason = "error object";
    return;
  }
  if (out.finish_reason == "incomplete") {
    const json::object* details = object_of(response, "incomplete_details");
    out.finish_reason = details == nullptr ? "" : text_of(*details, "reason");
    out.complete = out.finish_reason == "max_output_tokens";
  } else {
    out.complete = out.finish_reason == "completed";
  }
  if (!out.complete) out.reason = "status " + out.finish_reason;
}

std::optional<json::object> last_response(std::string_view& stream, std::string& problem) {
  std::optional<json::object> found;
  SseEvent event;
  while (next_event(stream, event)) {
    if (!event.has_data || event.data == "[DONE]") continue;
    auto parsed = parse_object(event.data);
    if (!parsed) {
      problem = "unreadable event";
      return std::nullopt;
    }
    const std::string_view type = text_of(*parsed, "type");
    if (type == "error" || type == "response.failed") {
      problem = "error event";
      return std::nullopt;
    }
    if (type != "response.completed" && type != "response.incomplete") continue;
    const json::object* response = object_of(*parsed, "response");
    if (response != nullptr) found = *response;
  }
  if (!found) problem = "no response.completed";
  return found;
}

// Writes the events of one answer, numbered as the API numbers them.
class Writer {
 public:
  void event(std::string_view type, json::object fields) {
    json::object data{{"type", type}};
    for (auto& [key, value] : fields) data[key] = std::move(value);
    data["sequence_number"] = sequence_++;
    append_event(out_, type, json::serialize(data));
  }
  void item(const json::object& item, size_t output_index);
  std::string take() { return std::move(out_); }

 private:
  json::object at(const json::object& item, size_t output_index) const {
    return {{"item_id", item.contains("id") ? item.at("id") : json::value("")}, {"output_index", output_index}};
  }
  void message_parts(const json::object& item, size_t output_index);
  void text_part(const json::object& where, const json::object& part);
  void arguments(const json::object& item, size_t output_index);
  void summaries(const json::object& item, size_t output_index);

  std::string out_;
  int64_t sequence_ = 0;
};

void Writer::item(const json::object& item, size_t output_index) {
  const std::string_view type = text_of(item, "type");
  json::object begun = item;
  if (begun.contains("status")) begun["status"] = "in_progress";
  if (type == "message") begun["content"] = json::array();
  if (type == "function_call") begun["arguments"] = "";
  if (type == "reasoning") begun["summary"] = json::array();
  event("response.output_item.added", {{"output_index", output_index}, {"item", std::move(begun)}});
  if (type == "message") message_parts(item, output_index);
  if (type == "function_call") arguments(item, output_index);
  if (type == "reasoning") summaries(item, output_index);
  event("response.output_item.done", {{"output_index", output_index}, {"item", item}});
}

void Writer::message_parts(const json::object& item, size_t output_index) {
  const json::array* content = array_of(item, "content");
  for (size_t i = 0; content != nullptr && i < content->size(); ++i) {
    const json::object& part = content->at(i).as_object();
    json::object where = at(item, output_index);
    where["content_index"] = i;
    text_part(where, part);
  }
}

void Writer::text_part(const json::object& where, const json::object& part) {
  const bool text = text_of(part, "type") == "output_text";
  const bool refusal = text_of(part, "type") == "refusal";
  const std::string_view field = text ? "text" : "refusal";
  const std::string stem = text ? "response.output_text" : "response.refusal";
  json::object begun = part;
  if (text || refusal) begun[field] = "";
  if (text) begun["annotations"] = json::array();
  json::object added = where;
  added["part"] = std::move(begun);
  event("response.content_part.added", std::move(added));
  if (text || refusal) {
    json::object delta = where;
    delta["delta"] = text_of(part, field);
    if (text) delta["logprobs"] = json::array();
    event(stem + ".delta", std::move(delta));
    if (const json::array* notes = array_of(part, "annotations"); text && notes != nullptr)
      for (size_t i = 0; i < notes->size(); ++i) {
        json::object note = where;
        note["annotation_index"] = i;
        note["annotation"] = notes->at(i);
        event("response.output_text.annotation.added", std::move(note));
      }
    json::object done = where;
    done[field] = text_of(part, field);
    if (text) done["logprobs"] = json::array();
    event(stem + ".done", std::move(done));
  }
  json::object ended = where;
  ended["part"] = part;
  event("response.content_part.done", std::move(ended));
}

void Writer::arguments(const json::object& item, size_t output_index) {
  json::object delta = at(item, output_index);
  delta["delta"] = text_of(item, "arguments");
  event("response.function_call_arguments.delta", std::move(delta));
  json::object done = at(item, output_index);
  done["arguments"] = text_of(item, "arguments");
  event("response.function_call_arguments.done", std::move(done));
}

void Writer::summaries(const json::object& item, size_t output_index) {
  const json::array* parts = array_of(item, "summary");
  for (size_t i = 0; parts != nullptr && i < parts->size(); ++i) {
    const json::object& part = parts->at(i).as_object();
    json::object where = at(item, output_index);
    where["summary_index"] = i;
    const auto with = [&](std::string_view name, json::value value) {
      json::object out = where;
      out[name] = std::move(value);
      return out;
    };
    json::object begun = part;
    begun["text"] = "";
    event("response.reasoning_summary_part.added", with("part", std::move(begun)));
    event("response.reasoning_summary_text.delta", with("delta", json::value(text_of(part, "text"))));
    event("response.reasoning_summary_text.done", with("text", json::value(text_of(part, "text"))));
    event("response.reasoning_summary_part.done", with("part", part));
  }
}

}  // namespace

Analysis Responses::analyse_json(const json::object& body) {
  Analysis out;
  read_status(body, out);
  return out;
}

Analysis Responses::analyse_stream(std::string_view stream) {
  Analysis out;
  if (const auto response = last_response(stream, out.reason)) read_status(*response, out);
  if (out.complete && stream.find_first_not_of("\r\n") != std::string_view::npos) {
    out.complete = false;
    out.reason = "ends inside an event";
  }
  return out;
}

base::Result<std::string> Responses::to_json(std::string_view stream) {
  std::string problem;
  const auto response = last_response(stream, problem);
  if (!response) return base::fail(base::Code::kInvalid, problem);
  return json::serialize(*response);
}

std::string Responses::to_stream(const json::object& body) {
  Writer writer;
  json::object begun = body;
  begun["status"] = "in_progress";
  begun["output"] = json::array();
  begun["usage"] = nullptr;
  if (begun.contains("incomplete_details")) begun["incomplete_details"] = nullptr;
  writer.event("response.created", {{"response", begun}});
  writer.event("response.in_progress", {{"response", std::move(begun)}});
  const json::array* output = array_of(body, "output");
  for (size_t i = 0; output != nullptr && i < output->size(); ++i) writer.item(output->at(i).as_object(), i);
  const bool cut = text_of(body, "status") == "incomplete";
  writer.event(cut ? "response.incomplete" : "response.completed", {{"response", body}});
  return writer.take();
}

}  // namespace payonce::llm::codec
