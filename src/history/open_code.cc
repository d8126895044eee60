// OpenCode: `opencode export` (one object with info and messages, each with its parts), and its older storage folder
// with a file for every message and part. An assistant message is a call; where it has several step-finish parts each
// of them is one. tokens.input leaves out what was read and written; output does so with reasoning where `total`
// says.
#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "history/body.h"
#include "history/readers.h"
#include "history/usage.h"

namespace payonce::history {
namespace {

llm::Usage tokens_of(const Json& tokens) {
  llm::Usage out;
  if (!tokens.is_object()) return out;
  out.fresh = count_of(tokens["input"]);
  out.read = count_of(tokens["cache"]["read"]);
  out.write_short = count_of(tokens["cache"]["write"]);
  out.output = count_of(tokens["output"]);
  const int64_t reasoning = count_of(tokens["reasoning"]);
  if (count_of(tokens["total"]) == out.input() + out.output + reasoning) out.output += reasoning;
  out.known = out.input() + out.output > 0;
  out.read_known = out.known;
  return out;
}

class OpenCode : public Reader {
 public:
  using Reader::Reader;

  void record(const Json& value, uint64_t line) override {
    if (value["info"].is_object() && value["messages"].is_array()) {
      value["messages"].each([&](const Json& one) {
        message(one["info"], line);
        one["parts"].each([&](const Json& part) { this->part(part); });
      });
    } else if (value["messageID"] && value["type"]) {
      part(value);
    } else if (value["sessionID"] && value["role"]) {
      message(value, line);
    } else {
      sink_.ignore("session or project");
    }
  }

  void finish() override {
    std::stable_sort(messages_.begin(), messages_.end(), [](const Message& a, const Message& b) {
      return std::tie(a.call.session, a.created_ms, a.id) < std::tie(b.call.session, b.created_ms, b.id);
    });
    for (size_t i = 0; i < messages_.size(); ++i) {
      if (i == 0 || messages_[i].call.session != messages_[i - 1].call.session) {
        conversation_ = sink_.log().conversations.size();
        sink_.log().conversations.emplace_back();
        begin_ = 0;
        compacted_ = false;
      }
      tell(messages_[i]);
    }
  }

 private:
  struct Part {
    std::string_view id, raw;
    bool content = false;  // text, reasoning, a tool, a file
    bool step_ends = false;
    llm::Usage usage;
    double cost = -1;
  };
  struct Message {
    std::string_view id;
    int64_t created_ms = 0;
    bool assistant = false;
    bool summary = false;  // of all that came before
    Call call;
  };

  void message(const Json& info, uint64_t line) {
    Arena& arena = sink_.arena();
    if (!info["id"] || !info["sessionID"]) return sink_.skip(line, "a message without id or sessionID");
    Message& out = messages_.emplace_back();
    out.id = info["id"].text(arena);
    out.created_ms = info["time"]["created"].time_ms();
    out.assistant = info["role"].word() == "assistant";
    out.summary = info["summary"].type() == llm::JsonType::kTrue;
    Call& call = out.call;
    call.format = Format::kOpenCode;
    call.file = sink_.file();
    call.line = line;
    call.id = out.id;
    call.at_ms = out.created_ms;
    const int64_t end_ms = info["time"]["completed"].time_ms();
    if (end_ms >= call.at_ms && call.at_ms > 0) call.latency_ms = end_ms - call.at_ms;
    call.session = info["sessionID"].text(arena);
    call.model = info["modelID"].text(arena);
    call.provider = info["providerID"].text(arena);
    call.usage = tokens_of(info["tokens"]);
    call.billed_usd = info["cost"].number(-1);
    if (info["error"].is_object()) call.status = static_cast<int>(info["error"]["data"]["statusCode"].integer(500));
  }

  void part(const Json& value) {
    Arena& arena = sink_.arena();
    const std::string_view type = value["type"].word();
    Part out{.id = value["id"].text(arena), .raw = value.raw()};
    out.step_ends = type == "step-finish";
    out.content = type == "text" || type == "reasoning" || type == "tool" || type == "file";
    if (!out.step_ends && !out.content) return;
    if (out.step_ends) out.usage = tokens_of(value["tokens"]);
    if (out.step_ends) out.cost = value["cost"].number(-1);
    parts_[value["messageID"].text(arena)].push_back(out);
  }

  void tell(const Message& message) {
    std::vector<Piece>& pieces = sink_.log().conversations[conversation_];
    std::vector<Part>& parts = parts_[message.id];
    std::stable_sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.id < b.id; });
    const auto steps = std::count_if(parts.begin(), parts.end(), [](const Part& part) { return part.step_ends; });
    if (message.summary) begin_ = pieces.size();
    if (message.assistant && steps < 2) add(message.call, message.id, pieces.size());
    size_t heard = pieces.size();
    size_t step = 0;
    for (const Part& part : parts) {
      if (part.content) pieces.push_back({message.assistant ? "assistant" : "user", part.raw, message.created_ms});
      if (!part.step_ends || steps < 2) continue;
      Call call = message.call;
      call.usage = part.usage;
      call.billed_usd = part.cost;
      add(call, fmt::format("{}/{}", message.id, step++), heard);
      heard = pieces.size();
    }
    if (message.summary) compacted_ = true;
  }

  void add(Call call, std::string_view key, size_t heard_end) {
    if (!call.usage.known && call.status == 200) return sink_.ignore("answer without tokens");
    call.heard = {conversation_, std::min(begin_, heard_end), heard_end};
    call.compacted = std::exchange(compacted_, false);
    sink_.add_as_is(call, key);
  }

  std::vector<Message> messages_;
  std::unordered_map<std::string_view, std::vector<Part>> parts_;  // by message
  size_t conversation_ = 0;
  size_t begin_ = 0;
  bool compacted_ = false;
};

}  // namespace

bool claims_open_code(const Json& value) {
  if (value["info"]["id"].word().starts_with("ses_") && value["messages"].is_array()) return true;
  if (value["sessionID"] && (value["messageID"] || value["role"])) return true;
  return value["id"].word().starts_with("ses_") && value["projectID"];
}

std::unique_ptr<Reader> make_open_code(Sink& sink) { return std::make_unique<OpenCode>(sink); }

}  // namespace payonce::history
