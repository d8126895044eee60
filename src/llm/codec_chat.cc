#include <algorithm>
#include <boost/json.hpp>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "llm/codec.h"
#include "llm/miss_reason.h"
#include "llm/sse.h"
#include "llm/usage.h"

namespace payonce::llm::codec {
namespace json = boost::json;
namespace {

constexpr std::string_view kDone = "[DONE]";

// Adds a choice's end to the analysis: each must have said why it stopped.
bool note_choice(const json::object& choice, Analysis& out) {
  const std::string_view reason = text_of(choice, "finish_reason");
  if (reason.empty()) return false;
  out.finish_reason = reason;
  return true;
}

void conclude(Analysis& out) {
  // The provider withheld the answer; asking again may give one.
  if (out.complete && out.finish_reason == "content_filter") {
    out.complete = false;
    out.reason = "content_filter";
  }
}

// Fields that arrive whole; every other string of a delta is a piece of a longer one.
bool is_whole(std::string_view name) {
  return name == "role" || name == "type" || name == "id" || name == "index" || name == "format" || name == "object";
}

void merge(json::value& into, const json::value& piece, std::string_view name);

// Elements with an "index" are pieces of the element of that index; others are further elements.
void merge_array(json::array& into, const json::array& pieces) {
  for (const json::value& piece : pieces) {
    const json::value* index = piece.is_object() ? piece.get_object().if_contains("index") : nullptr;
    json::value* target = nullptr;
    if (index != nullptr)
      for (json::value& element : into)
        if (element.is_object() && element.get_object().contains("index") &&
            element.get_object().at("index") == *index)
          target = &element;
    if (target != nullptr)
      merge(*target, piece, "");
    else
      into.push_back(piece);
  }
}

void merge(json::value& into, const json::value& piece, std::string_view name) {
  if (piece.is_null()) return;
  if (into.is_string() && piece.is_string() && !is_whole(name)) {
    into.get_string().append(piece.get_string());
  } else if (into.is_object() && piece.is_object()) {
    for (const auto& [key, value] : piece.get_object()) {
      json::value& slot = into.get_object()[key];
      merge(slot, value, key);
    }
  } else if (into.is_array() && piece.is_array()) {
    merge_array(into.get_array(), piece.get_array());
  } else {
    into = piece;
  }
}

// "index" places the tool calls of a stream, which may come in any order; a whole message does not carry it.
void place_tool_calls(json::object& message) {
  json::value* calls = message.if_contains("tool_calls");
  if (calls == nullptr || !calls->is_array()) return;
  const auto place = [](const json::value& call) {
    const json::value* index = call.is_object() ? call.get_object().if_contains("index") : nullptr;
    return index != nullptr && index->is_int64() ? index->get_int64() : INT64_MAX;
  };
  std::vector<json::value> sorted(calls->get_array().begin(), calls->get_array().end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](const json::value& a, const json::value& b) { return place(a) < place(b); });
  *calls = json::array(sorted.begin(), sorted.end());
  for (json::value& call : calls->get_array())
    if (call.is_object()) call.get_object().stable_erase("index");
}

struct ChatAssembly {
  json::object top;
  std::map<int64_t, json::object> choices;
  bool done = false;

  base::Status add(const json::object& chunk, bool text);
  std::string finish(bool text);
};

base::Status ChatAssembly::add(const json::object& chunk, bool text) {
  for (const auto& [key, value] : chunk)
    if (key != "choices" && !(value.is_null() && top.contains(key))) top[key] = value;
  const json::array* pieces = array_of(chunk, "choices");
  if (pieces == nullptr) return {};
  for (const json::value& piece : *pieces) {
    if (!piece.is_object()) return base::fail(base::Code::kInvalid, "a choice is not an object");
    const json::value* index = piece.get_object().if_contains("index");
    json::object& choice = choices[index == nullptr ? 0 : index->to_number<int64_t>()];
    for (const auto& [key, value] : piece.get_object()) {
      const std::string_view slot = key == "delta" ? std::string_view("message") : std::string_view(key);
      json::value& target = choice[slot];
      if (slot == "message" || slot == "logprobs" || (text && slot == "text"))
        merge(target, value, slot);
      else if (!value.is_null())
        target = value;
    }
  }
  return {};
}

std::string ChatAssembly::finish(bool text) {
  top["object"] = text ? "text_completion" : "chat.completion";
  json::array list;
  for (auto& [index, choice] : choices) {
    if (json::value* message = choice.if_contains("message"); message != nullptr && message->is_object()) {
      place_tool_calls(message->get_object());
      if (!message->get_object().contains("content")) message->get_object()["content"] = nullptr;
      if (!message->get_object().contains("role")) message->get_object()["role"] = "assistant";
    }
    list.push_back(std::move(choice));
  }
  top["choices"] = std::move(list);
  if (json::value* usage = top.if_contains("usage"); usage != nullptr && usage->is_null()) top.stable_erase("usage");
  return json::serialize(top);
}

// What every chunk of one answer has in common.
json::object chunk_base(const json::object& body, bool text, bool include_usage) {
  json::object out;
  for (const auto& [key, value] : body)
    if (key != "choices" && key != "usage") out[key] = value;
  out["object"] = text ? "text_completion" : "chat.completion.chunk";
  if (include_usage) out["usage"] = nullptr;
  return out;
}

void append_chunk(std::string& out, json::object chunk, json::object choice) {
  chunk["choices"] = json::array{std::move(choice)};
  append_event(out, "", json::serialize(chunk));
}

json::array indexed_calls(const json::array& calls) {
  json::array out;
  for (size_t i = 0; i < calls.size(); ++i) {
    json::object call = calls[i].is_object() ? calls[i].get_object() : json::object();
    call["index"] = i;
    out.push_back(std::move(call));
  }
  return out;
}

void append_message(std::string& out, const json::object& base, const json::object& choice,
                    const json::value& index) {
  const json::object* message = object_of(choice, "message");
  const auto piece = [&](json::object delta) {
    json::object made{{"index", index}, {"delta", std::move(delta)}};
    if (const json::value* logprobs = choice.if_contains("logprobs"); logprobs != nullptr && logprobs->is_null())
      made["logprobs"] = nullptr;
    made["finish_reason"] = nullptr;
    return made;
  };
  json::object first{{"role", "assistant"}};
  if (message != nullptr && message->contains("role")) first["role"] = message->at("role");
  if (message != nullptr && message->contains("content"))
    first["content"] = message->at("content").is_null() ? json::value(nullptr) : json::value("");
  append_chunk(out, base, piece(std::move(first)));
  if (message == nullptr) return;
  for (const auto& [key, value] : *message) {
    if (key == "role" || value.is_null()) continue;
    json::object made = piece(
        {{key, key == "tool_calls" && value.is_array() ? json::value(indexed_calls(value.get_array())) : value}});
    if (key == "content" && choice.contains("logprobs")) made["logprobs"] = choice.at("logprobs");
    append_chunk(out, base, std::move(made));
  }
}

}  // namespace

Analysis Chat::analyse_json(const json::object& body) {
  Analysis out;
  out.model = text_of(body, "model");
  if (const json::object* usage = object_of(body, "usage")) out.usage = openai_usage(*usage);
  out.cache_miss_reason = miss_reason(body);
  const json::array* choices = array_of(body, "choices");
  if (const json::value* error = body.if_contains("error"); error != nullptr && !error->is_null()) {
    out.reason = "error object";
    return out;
  }
  out.complete = choices != nullptr && !choices->empty();
  if (out.complete)
    for (const json::value& choice : *choices)
      out.complete = out.complete && choice.is_object() && note_choice(choice.get_object(), out);
  if (!out.complete) out.reason = "no finish_reason";
  conclude(out);
  return out;
}

Analysis Chat::analyse_stream(std::string_view stream) {
  Analysis out;
  std::set<int64_t> seen, finished;
  bool done = false;
  SseEvent event;
  while (next_event(stream, event)) {
    if (!event.has_data) continue;
    if (event.data == kDone) {
      done = true;
      continue;
    }
    const auto chunk = parse_object(event.data);
    if (!chunk || (chunk->contains("error") && !chunk->at("error").is_null()) || event.name == "error") {
      out.reason = chunk ? "error event" : "unreadable event";
      return out;
    }
    if (out.model.empty()) out.model = text_of(*chunk, "model");
    if (const json::object* usage = object_of(*chunk, "usage")) out.usage = openai_usage(*usage);
    if (std::string reason = miss_reason(*chunk); !reason.empty()) out.cache_miss_reason = std::move(reason);
    const json::array* choices = array_of(*chunk, "choices");
    if (choices == nullptr) continue;
    for (const json::value& choice : *choices) {
      if (!choice.is_object()) continue;
      const json::value* index = choice.get_object().if_contains("index");
      const int64_t number = index == nullptr ? 0 : index->to_number<int64_t>();
      seen.insert(number);
      if (note_choice(choice.get_object(), out)) finished.insert(number);
    }
  }
  out.complete =
      done && stream.find_first_not_of("\r\n") == std::string_view::npos && !seen.empty() && seen == finished;
  if (!out.complete) out.reason = !done ? "no [DONE]" : "no finish_reason";
  conclude(out);
  return out;
}

base::Result<std::string> Chat::to_json(std::string_view stream, bool text) {
  ChatAssembly assembly;
  SseEvent event;
  while (next_event(stream, event)) {
    if (!event.has_data || event.data == kDone) continue;
    PAYONCE_TRY(const json::object chunk, parse_object(event.data));
    PAYONCE_CHECK_OK(assembly.add(chunk, text));
  }
  return assembly.finish(text);
}

std::string Chat::to_stream(const json::object& body, bool text, bool include_usage) {
  std::string out;
  const json::object base = chunk_base(body, text, include_usage);
  const json::array* choices = array_of(body, "choices");
  for (size_t i = 0; choices != nullptr && i < choices->size(); ++i) {
    const json::object& choice = choices->at(i).as_object();
    const json::value index = choice.contains("index") ? choice.at("index") : json::value(i);
    if (text) {
      append_chunk(out, base, choice);
      continue;
    }
    append_message(out, base, choice, index);
    json::object last{{"index", index}, {"delta", json::object()}};
    for (const auto& [key, value] : choice)
      if (key != "message" && key != "index" && key != "logprobs") last[key] = value;
    append_chunk(out, base, std::move(last));
  }
  if (const json::object* usage = object_of(body, "usage"); usage != nullptr && include_usage) {
    json::object chunk = base;
    chunk["choices"] = json::array();
    chunk["usage"] = *usage;
    append_event(out, "", json::serialize(chunk));
  }
  append_event(out, "", kDone);
  return out;
}

std::string Chat::without_usage(std::string_view stream) {
  std::string out;
  out.reserve(stream.size());
  SseEvent event;
  while (next_event(stream, event)) {
    const auto chunk = parse_object(event.data);
    const json::array* choices = chunk ? array_of(*chunk, "choices") : nullptr;
    const bool usage_only = choices != nullptr && choices->empty() && object_of(*chunk, "usage") != nullptr;
    if (!usage_only) out.append(event.raw);
  }
  out.append(stream);
  return out;
}

}  // namespace payonce::llm::codec
