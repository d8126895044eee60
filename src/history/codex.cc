// Codex CLI: ~/.codex/sessions/YYYY/MM/DD/rollout-<time>-<id>.jsonl. A call shows as a token_usage_record, with the
// response's id; in older versions as event_msg/token_count alone, with the usage of the last request and the running
// total, of which the same total again is a change of rate limits, no call. A token_count may come after the outputs
// of the tools that the answer called. Cached tokens are included in the input, reasoning in the output.
#include <fmt/format.h>

#include <algorithm>

#include "history/body.h"
#include "history/readers.h"
#include "history/usage.h"

namespace payonce::history {
namespace {

constexpr std::array<std::string_view, 6> kCodexTypes = {"session_meta", "turn_context", "response_item",
                                                         "event_msg",    "compacted",    "token_usage_record"};

struct Counts {
  int64_t input = 0, cached = 0, written = 0, output = 0;
  bool operator==(const Counts&) const = default;
  Counts operator-(const Counts& other) const {
    return {input - other.input, cached - other.cached, written - other.written, output - other.output};
  }
};

Counts counts_of(const Json& usage) {
  return {count_of(usage["input_tokens"]), count_of(usage["cached_input_tokens"]),
          count_of(usage.first({"cache_write_input_tokens", "cache_write_tokens"})),
          count_of(usage["output_tokens"])};
}

class Codex : public Reader {
 public:
  using Reader::Reader;

  void begin() override {
    state_ = {};
    state_.conversation = sink_.log().conversations.size();
    sink_.log().conversations.emplace_back();
  }

  void record(const Json& value, uint64_t line) override {
    const std::string_view type = value["type"].word();
    const Json payload = value["payload"];
    if (!payload.is_object()) return sink_.skip(line, "no payload in it: not a line of a Codex rollout");
    const int64_t at_ms = value["timestamp"].time_ms();
    if (type == "session_meta") {
      session(payload, at_ms);
    } else if (type == "turn_context") {
      if (payload["model"]) state_.model = payload["model"].text(sink_.arena());
    } else if (type == "response_item") {
      item(payload, at_ms);
    } else if (type == "compacted") {
      compacted(payload, at_ms);
    } else if (type == "token_usage_record") {
      state_.has_records = true;
      const std::string_view id = payload["response_id"].text(sink_.arena());
      add(counts_of(payload["usage"]), id, at_ms, line);
    } else if (type == "event_msg" && payload["type"].word() == "token_count" && payload["info"].is_object() &&
               !state_.has_records) {
      tokens(payload["info"], at_ms, line);
    } else {
      sink_.ignore(type == "event_msg" ? payload["type"].word() : type);
    }
  }

 private:
  struct State {
    size_t conversation = 0;
    size_t begin = 0;
    std::string_view session, provider = "openai", model;
    int64_t asked_ms = 0;    // the last message or tool output
    bool answering = false;  // the model has written something since the last call
    size_t heard_end = 0;    // what it had heard then
    int64_t start_ms = 0;
    int64_t answered_ms = 0;
    bool compacted = false;
    bool has_records = false;
    Counts total;
  };

  std::vector<Piece>& pieces() { return sink_.log().conversations[state_.conversation]; }

  void session(const Json& payload, int64_t at_ms) {
    if (state_.session.empty()) state_.session = payload.first({"id", "session_id"}).text(sink_.arena());
    if (payload["model_provider"]) state_.provider = payload["model_provider"].text(sink_.arena());
    if (pieces().empty()) add_pieces(pieces(), "system", payload["base_instructions"]["text"], at_ms);
  }

  void add_item(const Json& payload, int64_t at_ms) {
    const std::string_view role = payload["role"].word();
    if (payload["type"].word() == "message")
      add_pieces(pieces(), role == "assistant" || role == "user" ? role : "developer", payload["content"], at_ms);
    else
      pieces().push_back({is_asked(payload) ? "tool" : "assistant", payload.raw(), at_ms});
  }

  // Messages of other roles and the outputs of tools are what the next call is asked; the model wrote all else.
  static bool is_asked(const Json& payload) {
    const std::string_view type = payload["type"].word();
    return type == "message" ? payload["role"].word() != "assistant" : type.ends_with("_output");
  }

  void item(const Json& payload, int64_t at_ms) {
    if (is_asked(payload)) {
      state_.asked_ms = at_ms;
    } else {
      if (!state_.answering) begin_answer();
      state_.answered_ms = at_ms;
    }
    add_item(payload, at_ms);
  }

  void begin_answer() {
    state_.answering = true;
    state_.heard_end = pieces().size();
    state_.start_ms = state_.asked_ms;
  }

  void compacted(const Json& payload, int64_t at_ms) {
    state_.begin = pieces().size();
    state_.compacted = true;
    state_.answering = false;
    state_.asked_ms = at_ms;
    payload["replacement_history"].each([&](const Json& one) { add_item(one, at_ms); });
    if (!payload["replacement_history"]) add_pieces(pieces(), "user", payload["message"], at_ms);
  }

  void tokens(const Json& info, int64_t at_ms, uint64_t line) {
    const Counts total = counts_of(info["total_token_usage"]);
    if (total == state_.total) {
      ++sink_.log().duplicates.lines;
      return;
    }
    Counts last = counts_of(info["last_token_usage"]);
    if (last == Counts{}) last = total - state_.total;
    state_.total = total;
    const std::string id = fmt::format("{}/{}/{}/{}", state_.session, total.input, total.cached, total.output);
    add(last, sink_.arena().keep(id), at_ms, line);
  }

  void add(const Counts& used, std::string_view id, int64_t at_ms, uint64_t line) {
    if (!state_.answering) {  // nothing of the answer was written down
      begin_answer();
      state_.answered_ms = at_ms;
    }
    Call call;
    call.format = Format::kCodex;
    call.line = line;
    call.id = id;
    call.at_ms = state_.start_ms > 0 ? std::min(state_.start_ms, at_ms) : at_ms;
    call.latency_ms = std::max<int64_t>(0, state_.answered_ms - call.at_ms);
    call.session = state_.session;
    call.provider = state_.provider;
    call.model = state_.model;
    call.dialect = llm::Dialect::kOpenAiResponses;
    call.usage = inclusive_usage(used.input, used.cached, used.written, 0, used.output);
    call.usage.read_known = true;
    call.compacted = std::exchange(state_.compacted, false);
    call.heard = {state_.conversation, state_.begin, std::max(state_.begin, state_.heard_end)};
    state_.answering = false;
    sink_.add(call, id);
  }

  State state_;
};

}  // namespace

bool claims_codex(const Json& value) {
  return value["payload"].is_object() &&
         std::find(kCodexTypes.begin(), kCodexTypes.end(), value["type"].word()) != kCodexTypes.end();
}

std::unique_ptr<Reader> make_codex(Sink& sink) { return std::make_unique<Codex>(sink); }

}  // namespace payonce::history
