// Codex CLI: ~/.codex/sessions/YYYY/MM/DD/rollout-<time>-<id>.jsonl. A call shows as event_msg/token_count with the
// usage of the last request and the running total; the same total again is a change of rate limits, no call. Cached
// tokens are included in the input, reasoning in the output.
#include <algorithm>

#include "history/body.h"
#include "history/readers.h"
#include "history/usage.h"

namespace payonce::history {
namespace {

constexpr std::array<std::string_view, 5> kTypes = {"session_meta", "turn_context", "response_item", "event_msg",
                                                    "compacted"};

struct Counts {
  int64_t input = 0, cached = 0, written = 0, output = 0;
  bool operator==(const Counts&) const = default;
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
      if (state_.session.empty()) state_.session = payload.first({"id", "session_id"}).text(sink_.arena());
      if (payload["model_provider"]) state_.provider = payload["model_provider"].text(sink_.arena());
    } else if (type == "turn_context") {
      if (payload["model"]) state_.model = payload["model"].text(sink_.arena());
    } else if (type == "response_item") {
      item(payload, at_ms);
    } else if (type == "compacted") {
      state_.begin = pieces().size();
      state_.compacted = true;
      payload["replacement_history"].each([&](const Json& one) { item(one, at_ms); });
      if (!payload["replacement_history"]) add_pieces(pieces(), "user", payload["message"], at_ms);
      state_.heard_end = pieces().size();
    } else if (type == "event_msg" && payload["type"].word() == "token_count") {
      if (payload["info"].is_object())
        tokens(payload["info"], at_ms, line);
      else
        sink_.ignore("token_count without tokens");
    } else {
      sink_.ignore(type == "event_msg" ? payload["type"].word() : type);
    }
  }

 private:
  struct State {
    size_t conversation = 0;
    size_t begin = 0;
    size_t heard_end = 0;  // behind the last piece that the model did not write
    std::string_view session, provider = "openai", model;
    int64_t asked_ms = 0;
    bool compacted = false;
    Counts total;
  };

  std::vector<Piece>& pieces() { return sink_.log().conversations[state_.conversation]; }

  // Messages of roles user and developer and the outputs of tools are what the next call is asked.
  void item(const Json& payload, int64_t at_ms) {
    const std::string_view type = payload["type"].word(), role = payload["role"].word();
    const bool asked = type == "message" ? role != "assistant" : type.ends_with("_output");
    if (type == "message")
      add_pieces(pieces(),
                 role == "assistant" ? "assistant"
                 : role == "user"    ? "user"
                                     : "developer",
                 payload["content"], at_ms);
    else
      pieces().push_back({asked ? "tool" : "assistant", payload.raw(), at_ms});
    if (!asked) return;
    state_.asked_ms = at_ms;
    state_.heard_end = pieces().size();
  }

  void tokens(const Json& info, int64_t at_ms, uint64_t line) {
    const Counts total = counts_of(info["total_token_usage"]);
    if (total == state_.total) {
      ++sink_.log().duplicates.lines;
      return;
    }
    Counts last = counts_of(info["last_token_usage"]);
    if (last == Counts{})
      last = {total.input - state_.total.input, total.cached - state_.total.cached,
              total.written - state_.total.written, total.output - state_.total.output};
    state_.total = total;
    Call call;
    call.format = Format::kCodex;
    call.line = line;
    call.at_ms = state_.asked_ms > 0 ? std::min(state_.asked_ms, at_ms) : at_ms;
    call.latency_ms = at_ms - call.at_ms;
    call.session = state_.session;
    call.provider = state_.provider;
    call.model = state_.model;
    call.dialect = llm::Dialect::kOpenAiResponses;
    call.usage = inclusive_usage(last.input, last.cached, last.written, 0, last.output);
    call.usage.read_known = true;
    call.compacted = std::exchange(state_.compacted, false);
    call.heard = {state_.conversation, state_.begin, std::max(state_.begin, state_.heard_end)};
    std::string key(state_.session);
    for (const int64_t count : {total.input, total.cached, total.output})
      key.append("/").append(std::to_string(count));
    call.id = sink_.arena().keep(key);
    sink_.add(call, call.id);
  }

  State state_;
};

}  // namespace

bool claims_codex(const Json& value) {
  return value["payload"].is_object() &&
         std::find(kTypes.begin(), kTypes.end(), value["type"].word()) != kTypes.end();
}

std::unique_ptr<Reader> make_codex(Sink& sink) { return std::make_unique<Codex>(sink); }

}  // namespace payonce::history
