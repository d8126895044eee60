// Gemini CLI (and its forks): ~/.gemini/tmp/<project>/chats/session-….jsonl, a line a message, of which the last of
// an id counts, with {"$set"} and {"$rewindTo"} between them; older versions: one JSON object with a list of
// messages. Cached tokens are included in the input; thoughts are not in the output, and are billed as output.
#include <algorithm>
#include <unordered_map>

#include "history/body.h"
#include "history/readers.h"
#include "history/usage.h"

namespace payonce::history {
namespace {

class GeminiCli : public Reader {
 public:
  using Reader::Reader;

  void begin() override {
    session_ = {};
    asked_ms_ = 0;
    compacted_ = false;
    said_.clear();
    place_.clear();
    new_conversation();
  }

  void record(const Json& value, uint64_t line) override {
    if (const Json to = value["$rewindTo"]) return rewind(to.text(sink_.arena()));
    if (value["$set"].is_object()) return set(value["$set"], line);
    if (value["sessionId"] && value["projectHash"]) {
      if (session_.empty()) session_ = value["sessionId"].text(sink_.arena());
      value["messages"].each([&](const Json& message) { said(message, line, true); });
      return;
    }
    if (!value["id"]) return sink_.skip(line, "no id in it: not a message of Gemini CLI");
    said(value, line, false);
  }

 private:
  std::vector<Piece>& pieces() { return sink_.log().conversations[conversation_]; }

  void new_conversation() {
    conversation_ = sink_.log().conversations.size();
    sink_.log().conversations.emplace_back();
  }

  // What follows was not told what stood after that message. Earlier calls keep their conversation.
  void rewind(std::string_view id) {
    sink_.ignore("$rewindTo");
    const auto known = place_.find(id);
    const size_t keep = known == place_.end() ? 0 : std::min(known->second, pieces().size());
    const std::vector<Piece> before(pieces().begin(), pieces().begin() + static_cast<std::ptrdiff_t>(keep));
    new_conversation();
    pieces() = before;
  }

  // Messages that are set stand for all that was told before: the context of a new session, or a summary.
  void set(const Json& changes, uint64_t line) {
    sink_.ignore("$set");
    if (!changes["messages"].is_array()) return;
    compacted_ = !pieces().empty();
    if (compacted_) new_conversation();
    place_.clear();
    changes["messages"].each([&](const Json& message) { said(message, line, false); });
  }

  // `whole`: tools' results stand in the message that called them alone; else they come in a message of their own.
  void said(const Json& message, uint64_t line, bool whole) {
    const std::string_view type = message["type"].word();
    if (type != "user" && type != "gemini") return sink_.ignore(type.empty() ? "message without type" : type);
    const std::string_view id = message["id"].text(sink_.arena());
    const int64_t at_ms = message["timestamp"].time_ms();
    const bool again = !place_.try_emplace(id, pieces().size()).second;
    if (type == "gemini" && message["tokens"].is_object()) call(message, id, at_ms, line);
    if (again) {  // the same message with what was not known before
      if (type == "gemini") add_tools(message, at_ms, whole);
      return;
    }
    add_pieces(pieces(), type == "user" ? "user" : "assistant", message["content"], at_ms);
    if (type == "gemini") add_tools(message, at_ms, whole);
    if (type == "user") asked_ms_ = at_ms;
  }

  void add_tools(const Json& message, int64_t at_ms, bool whole) {
    message["toolCalls"].each([&](const Json& tool) {
      pieces().push_back({"assistant", whole ? tool.raw() : tool["args"].raw(), at_ms});
      asked_ms_ = std::max(asked_ms_, tool["timestamp"].time_ms());
    });
  }

  void call(const Json& message, std::string_view id, int64_t at_ms, uint64_t line) {
    const Json tokens = message["tokens"];
    const int64_t cached = count_of(tokens["cached"]);
    llm::Usage usage = inclusive_usage(count_of(tokens["input"]) + count_of(tokens["tool"]), cached, 0, 0,
                                       count_of(tokens["output"]) + count_of(tokens["thoughts"]));
    usage.read_known = true;
    if (const auto known = said_.find(id); known != said_.end()) {
      sink_.call(known->second).usage = usage;
      ++sink_.log().duplicates.lines;
      return;
    }
    Call call;
    call.format = Format::kGeminiCli;
    call.line = line;
    call.id = id;
    call.at_ms = asked_ms_ > 0 ? std::min(asked_ms_, at_ms) : at_ms;
    call.latency_ms = at_ms - call.at_ms;
    call.session = session_;
    call.provider = "google";
    call.model = message["model"].text(sink_.arena());
    call.usage = usage;
    call.compacted = std::exchange(compacted_, false);
    call.heard = {conversation_, 0, std::min(place_[id], pieces().size())};
    said_[id] = sink_.add(call, id).first;
  }

  std::string_view session_;
  size_t conversation_ = 0;
  int64_t asked_ms_ = 0;
  bool compacted_ = false;
  std::unordered_map<std::string_view, size_t> said_;   // message id: its call
  std::unordered_map<std::string_view, size_t> place_;  // message id: pieces before it
};

}  // namespace

bool claims_gemini_cli(const Json& value) { return value["sessionId"] && value["projectHash"]; }

std::unique_ptr<Reader> make_gemini_cli(Sink& sink) { return std::make_unique<GeminiCli>(sink); }

}  // namespace payonce::history
