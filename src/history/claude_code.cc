// Claude Code: ~/.claude/projects/<folder>/<session>.jsonl, and of sub-agents agent-<id>.jsonl or
// <session>/subagents/. A line is an event of the terminal: a user message, a part of an answer, progress, a
// snapshot. One request is one message.id. Its answer stands on one to five lines with the same input usage; the
// count of output tokens is right on the last one, or on none. There is no system prompt and there are no tools in
// it.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "history/body.h"
#include "history/readers.h"
#include "history/usage.h"

namespace payonce::history {
namespace {

constexpr std::array<std::string_view, 9> kClaudeCodeTypes = {
    "user",       "assistant",  "progress", "system", "summary", "file-history-snapshot", "queue-operation",
    "attachment", "last-prompt"};

// The messages of a session, or of one sub-agent of it.
struct Thread {
  const char* lines_begin = nullptr;  // where its first and last line stand in its file
  const char* lines_end = nullptr;
  size_t conversation = 0;
  std::string_view session_id;
  std::string_view continues;  // a line's uuid in another thread, after which this one goes on; empty: stands alone
  std::string_view name;       // of the calls' session
  size_t begin = 0;            // pieces before it were compacted away
  int64_t asked_ms = 0;        // the last user message
  bool compacted = false;
  std::vector<size_t> calls;
};

class ClaudeCode : public Reader {
 public:
  using Reader::Reader;

  void begin() override {
    by_agent_.clear();
    by_id_.clear();
  }

  void record(const Json& value, uint64_t line) override {
    const std::string_view type = value["type"].word();
    if (type.empty()) return sink_.skip(line, "no type in it: not a line of Claude Code");
    const bool message = type == "user" || type == "assistant";
    if (message && !value["message"].is_object()) return sink_.skip(line, "no message in it");
    const bool compaction = value["subtype"].word() == "compact_boundary";
    if (!message) sink_.ignore(compaction ? "compact_boundary" : type);
    if (!message && !compaction) return;
    Thread& thread = thread_of(value);
    if (thread.lines_begin == nullptr) thread.lines_begin = value.raw().data();
    thread.lines_end = value.raw().data() + value.raw().size();
    if (compaction) {
      thread.begin = pieces(thread).size();
      thread.compacted = true;
      return;
    }
    const int64_t at_ms = value["timestamp"].time_ms();
    if (type == "assistant")
      answer(thread, value, at_ms, line);
    else
      thread.asked_ms = std::max(thread.asked_ms, at_ms);
    add_pieces(pieces(thread), type == "user" ? "user" : "assistant", value["message"]["content"], at_ms);
  }

  void finish() override {
    for (Thread& thread : threads_)
      if (!thread.continues.empty() && !thread.calls.empty()) put_parent_first(thread);
  }

 private:
  std::vector<Piece>& pieces(const Thread& thread) { return sink_.log().conversations[thread.conversation]; }

  // A file may hold side threads among the lines of its session; a sub-agent's file is one.
  Thread& thread_of(const Json& value) {
    const bool side = value["isSidechain"].flag();
    std::string_view agent = side ? value["agentId"].text(sink_.arena()) : std::string_view();
    if (side && agent.empty()) agent = "side";
    const auto [known, fresh] = by_agent_.try_emplace(agent, threads_.size());
    // Without ids of agents a side thread begins where a message has no parent.
    if (!fresh && agent == "side" && !value["parentUuid"] && value["type"].word() == "user")
      known->second = threads_.size();
    if (known->second < threads_.size()) return threads_[known->second];
    Thread& thread = threads_.emplace_back();
    thread.conversation = sink_.log().conversations.size();
    sink_.log().conversations.emplace_back();
    thread.session_id = value["sessionId"].text(sink_.arena());
    thread.name = thread.session_id;
    if (side) {
      thread.continues = value["parentUuid"].text(sink_.arena());
      const std::string number = agent == "side" ? std::to_string(threads_.size()) : std::string();
      thread.name = sink_.arena().keep(fmt::format("{}/{}{}", thread.session_id, agent, number));
    }
    return thread;
  }

  void answer(Thread& thread, const Json& value, int64_t at_ms, uint64_t line) {
    const Json message = value["message"];
    if (message["model"].word() == "<synthetic>") return sink_.ignore("synthetic answer");
    Json id = message["id"];
    if (!id) id = value.first({"requestId", "uuid"});
    if (!id.is_string()) return sink_.skip(line, "an answer without id");
    const llm::Usage usage = usage_of(message["usage"]);
    const bool ended = bool(message["stop_reason"]);
    const auto [known, fresh] = by_id_.try_emplace(id.text(sink_.arena()), SIZE_MAX);
    if (!fresh) {
      ++sink_.log().duplicates.lines;
      return add_line(sink_.call(known->second), usage, at_ms, ended);
    }
    Call call;
    call.format = Format::kClaudeCode;
    call.line = line;
    call.id = known->first;
    call.at_ms = thread.asked_ms == 0 ? at_ms : std::min(thread.asked_ms, at_ms);
    call.first_ms = call.latency_ms = at_ms - call.at_ms;
    call.session = thread.name;
    call.model = message["model"].text(sink_.arena());
    call.provider = call.id.starts_with("msg_bdrk_")   ? "bedrock"
                    : call.id.starts_with("msg_vrtx_") ? "vertex"
                                                       : "anthropic";
    call.dialect = llm::Dialect::kAnthropicMessages;
    call.usage = usage;
    call.output_is_floor = !ended;
    call.batch = message["usage"]["service_tier"].word() == "batch";
    call.compacted = std::exchange(thread.compacted, false);
    call.heard = {thread.conversation, thread.begin, pieces(thread).size()};
    const auto [index, added] = sink_.add(call, call.id);
    known->second = index;
    if (added)
      thread.calls.push_back(index);
    else  // a resumed session's file repeats what came before
      add_line(sink_.call(index), usage, at_ms, ended);
  }

  static void add_line(Call& call, const llm::Usage& usage, int64_t at_ms, bool ended) {
    if (usage.known && usage.output >= call.usage.output) call.usage = usage;
    call.latency_ms = std::max(call.latency_ms, at_ms - call.at_ms);
    call.output_is_floor = call.output_is_floor && !ended;
  }

  static bool has(const Thread& thread, const std::string& text) {
    const auto size = static_cast<size_t>(thread.lines_end - thread.lines_begin);
    return ::memmem(thread.lines_begin, size, text.data(), text.size()) != nullptr;
  }

  // A side thread that goes on after a line of its session (compaction's does) has heard what stood before it.
  void put_parent_first(Thread& thread) {
    const std::string needle = fmt::format("\"uuid\":\"{}\"", thread.continues);
    for (const Thread& parent : threads_) {
      if (&parent == &thread || parent.session_id != thread.session_id || !parent.continues.empty() ||
          !has(parent, needle))
        continue;
      const Call& first = sink_.call(thread.calls.front());
      size_t begin = 0;
      for (const size_t index : parent.calls)
        if (sink_.call(index).at_ms <= first.at_ms) begin = sink_.call(index).heard.begin;
      std::vector<Piece> both;
      const std::vector<Piece>& theirs = pieces(parent);
      for (size_t i = begin; i < theirs.size() && theirs[i].at_ms < first.at_ms + first.first_ms; ++i)
        both.push_back(theirs[i]);
      const size_t before = both.size();
      both.insert(both.end(), pieces(thread).begin(), pieces(thread).end());
      pieces(thread) = std::move(both);
      for (const size_t index : thread.calls) {
        Heard& heard = sink_.call(index).heard;
        heard.begin = heard.begin == 0 ? 0 : heard.begin + before;
        heard.end += before;
      }
      return;
    }
  }

  std::vector<Thread> threads_;
  std::unordered_map<std::string_view, size_t> by_agent_;  // of this file: index in threads_
  std::unordered_map<std::string_view, size_t> by_id_;     // of this file: index of the call
};

}  // namespace

bool claims_claude_code(const Json& value) {
  const std::string_view type = value["type"].word();
  if (std::find(kClaudeCodeTypes.begin(), kClaudeCodeTypes.end(), type) == kClaudeCodeTypes.end()) return false;
  if (type == "summary") return bool(value["leafUuid"]);
  if (type == "file-history-snapshot") return bool(value["snapshot"]);
  return value["sessionId"].is_string() && !value["request"];
}

std::unique_ptr<Reader> make_claude_code(Sink& sink) { return std::make_unique<ClaudeCode>(sink); }

}  // namespace payonce::history
