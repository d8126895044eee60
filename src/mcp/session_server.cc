// The session's other half: what comes from the server, and the tools that the proxy asks for itself.
#include <fmt/format.h>

#include "mcp/session.h"

namespace payonce::mcp {
namespace {

using llm::JsonType;

constexpr std::chrono::seconds kListingWait{2};  // of one page
constexpr uint64_t kMaxOwnPages = 100;

bool is_change(const std::string& method) {
  return method == "notifications/tools/list_changed" || method == "notifications/resources/updated" ||
         method == "notifications/resources/list_changed";
}

// A question to the user or to a model: what depends on its answer is no function of the arguments.
bool asks_somebody(const std::string& method) {
  return method == "sampling/createMessage" || method == "elicitation/create";
}

}  // namespace

bool Session::on_server_line(std::string_view text) {
  const auto line = MessageLine::parse(text);
  if (!line) return true;
  Effects effects;
  {
    const std::lock_guard lock(mutex_);
    if (!line->is_batch() && line->messages()[0].kind == MessageKind::kResponse &&
        line->messages()[0].id.starts_with("s" + own_ids_)) {
      on_own_answer(*line, line->messages()[0]);
      return false;
    }
    for (const Message& message : line->messages()) from_server(*line, message, !line->is_batch(), effects);
    keeping_ = kept_.has_value();
  }
  finish(effects);
  return true;
}

void Session::on_server_piece() {
  const std::lock_guard lock(mutex_);
  give_up("a message of the server is too long to be read");
}

void Session::from_server(const MessageLine& line, const Message& message, bool may_keep, Effects& effects) {
  if (message.kind == MessageKind::kResponse) return on_answer(line, message, may_keep, effects);
  if (message.kind == MessageKind::kRequest) {
    if (message.method == "roots/list" && server_asked_.size() < kMaxOwnPages) server_asked_[message.id] = true;
    if (asks_somebody(message.method)) ++generation_;  // of any call on its way: which one is not told
    return;
  }
  if (message.kind != MessageKind::kNotification || !is_change(message.method)) return;
  if (message.method == "notifications/tools/list_changed") {
    tools_.forget();
    ++listing_;
  }
  note(fmt::format("void: the server says {}", message.method));
  make_void(effects);
}

void Session::on_answer(const MessageLine& line, const Message& message, bool may_keep, Effects& effects) {
  const auto found = pending_.find(message.id);
  if (found == pending_.end()) return;
  Pending call = std::move(found->second);
  pending_.erase(found);
  const uint32_t result = line.member(message.node, "result");
  switch (call.what) {
    case Asked::kInitialize: return identity_.server_said(line, result);
    case Asked::kTools:
      identity_.server_said(line, result);
      if (result != MessageLine::kNone && call.listing == listing_) tools_.add(line, result, call.is_first);
      return;
    case Asked::kWrite: return make_void(effects);
    case Asked::kKept: {
      const std::string type = line.text(line.member(result, "resultType"));
      const bool is_error = line.is(line.member(result, "isError"), JsonType::kTrue);
      const bool is_good = line.is(result, JsonType::kObject) && !is_error && (type.empty() || type == "complete");
      if (is_good && may_keep && call.generation == generation_)
        kept_ = Kept{std::move(call), line.raw(result)};
      else
        effects.aborted = call.ticket;
      return;
    }
    case Asked::kOther: return;
  }
}

void Session::passed_on() {
  if (!kept_) return;
  const Pending& call = kept_->call;
  if (InputFinder::are_unchanged(call.inputs)) {
    note(fmt::format("{} {}", cache_.commit(call.ticket, kept_->value, call.ttl_s), call.tool));
  } else {
    cache_.abort(call.ticket);
    note(fmt::format("not stored {}: what it read changed meanwhile", call.tool));
  }
  kept_.reset();
  const std::lock_guard lock(mutex_);
  keeping_ = false;
  changed_.notify_all();
}

std::string Session::unanswered(std::string_view why) {
  Effects effects;
  std::string out;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, pending] : pending_) {
      if (pending.what == Asked::kWrite) make_void(effects);
      if (!pending.cancelled)
        out += fmt::format("{{\"jsonrpc\":\"2.0\",\"id\":{},\"error\":{{\"code\":-32000,\"message\":{}}}}}\n",
                           pending.raw_id, json_string(why));
    }
    pending_.clear();
  }
  finish(effects);
  return out;
}

// ---- the list of tools ---------------------------------------------------------------------------

std::optional<Tool> Session::find_tool(const MessageLine& line, const Message& call, const std::string& name) {
  {
    const std::lock_guard lock(mutex_);
    if (const Tool* tool = tools_.find(name)) return *tool;
    // Asked once for each state of the list; a server that did not answer then is not asked for each call.
    if (tools_.is_complete() || asked_listing_ == listing_) return std::nullopt;
    asked_listing_ = listing_;
  }
  ask_for_tools(line, call);
  const std::lock_guard lock(mutex_);
  const Tool* tool = tools_.find(name);
  return tool == nullptr ? std::nullopt : std::optional(*tool);
}

// A client may call a tool that it knows from elsewhere, without listing them. Then the proxy asks, and swallows the
// answer; the call waits.
void Session::ask_for_tools(const MessageLine& line, const Message& call) {
  std::string meta;  // since 2026-07-28 every request says which protocol it speaks
  line.each_member(line.member(line.member(call.node, "params"), "_meta"), [&](uint32_t key, uint32_t value) {
    if (line.text(key).starts_with("io.modelcontextprotocol/"))
      meta += fmt::format("{}{}:{}", meta.empty() ? "" : ",", line.raw(key), line.raw(value));
  });
  std::string cursor;
  for (uint64_t page = 0; page < kMaxOwnPages; ++page) {
    std::string params = meta.empty() ? "" : fmt::format(R"("_meta":{{{}}})", meta);
    if (!cursor.empty()) params += fmt::format("{}\"cursor\":{}", params.empty() ? "" : ",", json_string(cursor));
    std::unique_lock lock(mutex_);
    own_answer_came_ = false;
    own_page_is_first_ = page == 0;
    const std::string id = fmt::format("{}{}", own_ids_, ++own_count_);
    lock.unlock();
    to_server_(fmt::format("{{\"jsonrpc\":\"2.0\",\"id\":\"{}\",\"method\":\"tools/list\",\"params\":{{{}}}}}\n", id,
                           params));
    lock.lock();
    if (!changed_.wait_for(lock, kListingWait, [&] { return own_answer_came_; })) return;
    cursor = own_cursor_;
    if (cursor.empty()) return;
  }
}

void Session::on_own_answer(const MessageLine& line, const Message& message) {
  const uint32_t result = line.member(message.node, "result");
  own_answer_came_ = true;
  own_cursor_.clear();
  if (result != MessageLine::kNone && asked_listing_ == listing_) {
    identity_.server_said(line, result);
    tools_.add(line, result, own_page_is_first_);
    own_cursor_ = line.text(line.member(result, "nextCursor"));
  }
  changed_.notify_all();
}

}  // namespace payonce::mcp
