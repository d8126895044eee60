#include <boost/json.hpp>
#include <utility>

#include "base/hash.h"
#include "base/utf8.h"
#include "engine/api/chat_answer.h"
#include "engine/api/errors.h"
#include "engine/api/message_stream.h"
#include "engine/api/token_text.h"
#include "llm/sse.h"

namespace payonce::engine {
namespace {
namespace json = boost::json;
using Delta = MessageStream::Delta;

// The items of the output in their order: text, and function calls. What the model thought is not shown, as OpenAI
// does it. Items are kept as they grow; a stream tells of each step.
class ResponsesAnswer final : public AnswerWriter {
 public:
  ResponsesAnswer(AnswerIdentity identity, ResponsesAnswerOptions options)
      : identity_(std::move(identity)),
        options_(std::move(options)),
        message_(options_.chat, options_.syntax, "call_") {}
  llm::Dialect dialect() const override { return llm::Dialect::kOpenAiResponses; }
  bool streams() const override { return options_.stream; }
  void piece(Piece piece, std::string& out) override;
  void flush(std::string& out) override;
  void finished(const Finished& finished, std::string& out) override;
  void done(const EngineUsage& usage, std::string& out) override;
  std::string error_event(const base::Error& error) const override {
    return engine::error_event(dialect(), error, sequence_);
  }

 private:
  struct Item {
    bool is_call = false;
    size_t call = 0;
    std::string id;
    std::string text;  // or arguments
  };
  json::object item_object(const Item& item, std::string_view status) const;
  static json::object part_object(const std::string& text);
  json::object response_object(std::string_view status, json::array output, json::value usage) const;
  void event(std::string_view type, json::object fields, std::string& out);
  json::object where() const;  // of the open item
  void begin(std::string& out);
  void open(bool is_call, size_t call, std::string& out);
  void close(std::string_view status, std::string& out);
  void take(const std::vector<Delta>& deltas, std::string& out);

  const AnswerIdentity identity_;
  const ResponsesAnswerOptions options_;
  MessageStream message_;
  std::vector<Item> items_;
  bool open_ = false;  // the last item
  bool begun_ = false;
  bool changed_ = false;
  bool cut_ = false;
  int64_t sequence_ = 0;
};

json::object ResponsesAnswer::part_object(const std::string& text) {
  return {{"type", "output_text"}, {"annotations", json::array()}, {"logprobs", json::array()}, {"text", text}};
}

json::object ResponsesAnswer::item_object(const Item& item, std::string_view status) const {
  if (!item.is_call) {
    json::array content;
    if (status != "in_progress") content.push_back(part_object(item.text));
    return {{"id", item.id},
            {"type", "message"},
            {"status", status},
            {"role", "assistant"},
            {"content", std::move(content)}};
  }
  const ToolCall& call = message_.message().tool_calls[item.call];
  return {{"id", item.id},      {"type", "function_call"}, {"status", status},
          {"call_id", call.id}, {"name", call.name},       {"arguments", item.text}};
}

json::object ResponsesAnswer::response_object(std::string_view status, json::array output, json::value usage) const {
  json::object out{{"id", identity_.id},
                   {"object", "response"},
                   {"created_at", identity_.created_s},
                   {"status", status},
                   {"background", false},
                   {"error", nullptr},
                   {"incomplete_details", nullptr},
                   {"model", identity_.model},
                   {"output", std::move(output)}};
  if (status == "incomplete") out["incomplete_details"] = json::object{{"reason", "max_output_tokens"}};
  for (const auto& [name, value] : options_.echo) out[name] = value;
  out["usage"] = std::move(usage);
  return out;
}

void ResponsesAnswer::event(std::string_view type, json::object fields, std::string& out) {
  if (!streams()) return;
  json::object data{{"type", type}, {"sequence_number", sequence_++}};
  for (auto& [name, value] : fields) data[name] = std::move(value);
  llm::append_event(out, type, json::serialize(data));
}

json::object ResponsesAnswer::where() const {
  json::object out{{"item_id", items_.back().id}, {"output_index", items_.size() - 1}};
  if (!items_.back().is_call) out["content_index"] = 0;
  return out;
}

void ResponsesAnswer::begin(std::string& out) {
  if (std::exchange(begun_, true)) return;
  event("response.created", {{"response", response_object("in_progress", {}, nullptr)}}, out);
  event("response.in_progress", {{"response", response_object("in_progress", {}, nullptr)}}, out);
}

void ResponsesAnswer::open(bool is_call, size_t call, std::string& out) {
  if (open_ && items_.back().is_call == is_call && items_.back().call == call) return;
  close("completed", out);
  items_.push_back({.is_call = is_call, .call = call, .id = (is_call ? "fc_" : "msg_") + base::random_hex(16)});
  open_ = true;
  event("response.output_item.added",
        {{"output_index", items_.size() - 1}, {"item", item_object(items_.back(), "in_progress")}}, out);
  if (is_call) return;
  json::object added = where();
  added["part"] = part_object("");
  event("response.content_part.added", std::move(added), out);
}

void ResponsesAnswer::close(std::string_view status, std::string& out) {
  if (!std::exchange(open_, false)) return;
  const Item& item = items_.back();
  json::object done = where();
  if (item.is_call) {
    done["name"] = message_.message().tool_calls[item.call].name;
    done["arguments"] = item.text;
    event("response.function_call_arguments.done", std::move(done), out);
  } else {
    json::object part = done;
    done["text"] = item.text;
    done["logprobs"] = json::array();
    event("response.output_text.done", std::move(done), out);
    part["part"] = part_object(item.text);
    event("response.content_part.done", std::move(part), out);
  }
  event("response.output_item.done", {{"output_index", items_.size() - 1}, {"item", item_object(item, status)}}, out);
}

void ResponsesAnswer::take(const std::vector<Delta>& deltas, std::string& out) {
  for (const Delta& one : deltas) {
    if (one.kind == Delta::Kind::kReasoning) continue;
    const bool is_call = one.kind != Delta::Kind::kContent;
    open(is_call, is_call ? one.call : 0, out);
    if (one.kind == Delta::Kind::kCallBegins) continue;
    items_.back().text += one.text;
    json::object fields = where();
    fields["delta"] = one.text;
    if (!is_call) fields["logprobs"] = json::array();
    event(is_call ? "response.function_call_arguments.delta" : "response.output_text.delta", std::move(fields), out);
  }
}

void ResponsesAnswer::piece(Piece piece, std::string& out) {
  message_.add(base::with_replacements(piece.text));
  changed_ = true;
  begin(out);
}

void ResponsesAnswer::flush(std::string& out) {
  if (streams() && std::exchange(changed_, false)) take(message_.take(), out);
}

void ResponsesAnswer::finished(const Finished& finished, std::string& out) {
  const std::vector<Delta> deltas = message_.finish(finished.why);
  changed_ = false;
  cut_ = finished.why == Finish::kLength;
  begin(out);
  take(deltas, out);
  close(cut_ ? "incomplete" : "completed", out);
}

void ResponsesAnswer::done(const EngineUsage& usage, std::string& out) {
  json::array output;
  for (size_t i = 0; i < items_.size(); ++i)
    output.push_back(item_object(items_[i], cut_ && i + 1 == items_.size() ? "incomplete" : "completed"));
  json::object counts{{"input_tokens", usage.prompt_tokens},
                      {"input_tokens_details", json::object{{"cached_tokens", usage.cached_tokens},
                                                            {"cache_write_tokens", usage.written_tokens}}},
                      {"output_tokens", usage.completion_tokens},
                      {"output_tokens_details", json::object{{"reasoning_tokens", 0}}},
                      {"total_tokens", int64_t{usage.prompt_tokens} + usage.completion_tokens}};
  json::object whole = response_object(cut_ ? "incomplete" : "completed", std::move(output), std::move(counts));
  if (!streams()) {
    out += json::serialize(whole);
    return;
  }
  event(cut_ ? "response.incomplete" : "response.completed", {{"response", std::move(whole)}}, out);
}

}  // namespace

std::unique_ptr<AnswerWriter> make_responses_answer(AnswerIdentity identity, ResponsesAnswerOptions options) {
  return std::make_unique<ResponsesAnswer>(std::move(identity), std::move(options));
}

}  // namespace payonce::engine
