#include "mcp/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/hash.h"

namespace payonce::mcp {
namespace {

using llm::JsonType;
using std::chrono::seconds;

constexpr size_t kMaxPending = 10'000;
// How long a write may go on that nobody waits for any more.
constexpr seconds kSettle{30};
// A kept result is in the instance before the next call is looked up, if that takes no longer.
constexpr std::chrono::milliseconds kKeepingWait{200};

bool mentions_a_call(std::string_view line) {
  return line.find("tools/call") != std::string_view::npos || line.find("tools\\/call") != std::string_view::npos;
}

std::string elapsed(std::chrono::steady_clock::time_point since) {
  return fmt::format("{:.1f} ms",
                     std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - since).count());
}

// Where relative paths may begin: the working directory, the workspace, and the folders that the command names.
std::vector<std::string> folders_of(const ProxySettings& settings) {
  std::vector<std::string> out = {settings.directory};
  const auto add = [&](const std::string& path) {
    std::error_code ignored;
    if (!path.empty() && std::filesystem::is_directory(path, ignored) &&
        std::find(out.begin(), out.end(), path) == out.end())
      out.push_back(path);
  };
  add(settings.workspace);
  for (const std::string& word : settings.command)
    add(std::filesystem::path(word).is_absolute() ? word : settings.directory + "/" + word);
  return out;
}

}  // namespace

Session::Session(const ProxySettings& settings, std::string version, ResultCache& cache, Send to_server, Log log)
    : settings_(settings),
      version_(std::move(version)),
      session_(base::random_hex(8)),
      own_ids_("payonce-" + base::random_hex(8) + "-"),
      cache_(cache),
      to_server_(std::move(to_server)),
      log_(std::move(log)),
      identity_(settings),
      tools_(settings.tools),
      finder_(folders_of(settings), settings.workspace) {}

void Session::note(const std::string& text) const {
  if (log_) log_(text);
}

void Session::finish(const Effects& effects) {
  if (effects.invalidate) cache_.invalidate();
  if (!effects.aborted.empty()) cache_.abort(effects.aborted);
}

// ---- from the client -----------------------------------------------------------------------------

std::optional<std::string> Session::on_client_line(std::string_view line) {
  const auto parsed = MessageLine::parse(line);
  Effects effects;
  if (parsed && !parsed->is_batch() && parsed->messages()[0].kind == MessageKind::kRequest &&
      parsed->messages()[0].method == "tools/call")
    return on_call(*parsed, parsed->messages()[0]);
  {
    const std::lock_guard lock(mutex_);
    if (parsed)
      for (const Message& message : parsed->messages()) from_client(*parsed, message, effects);
    else if (mentions_a_call(line)) {
      make_void(effects);
      quiet_until_ = Clock::now() + kSettle;
    }
  }
  finish(effects);
  return std::nullopt;
}

void Session::on_client_piece() {
  const std::lock_guard lock(mutex_);
  give_up("a message of the client is too long to be read");
}

void Session::from_client(const MessageLine& line, const Message& message, Effects& effects) {
  const uint32_t params = line.member(message.node, "params");
  Pending pending{.raw_id = std::string(line.raw(line.member(message.node, "id")))};
  switch (message.kind) {
    case MessageKind::kRequest:
      if (message.method == "tools/call")  // in a batch
        return write_begins(line, message, line.text(line.member(params, "name")), effects);
      if (message.method == "initialize" || message.method == "server/discover") pending.what = Asked::kInitialize;
      if (message.method == "initialize") identity_.client_said(line, params);
      if (message.method == "tools/list") {
        pending.what = Asked::kTools;
        pending.is_first = !line.is(line.member(params, "cursor"), JsonType::kString);
        pending.listing = listing_;
      }
      return track(message.id, std::move(pending));
    case MessageKind::kResponse:
      if (server_asked_.erase(message.id) == 0) return;
      roots_changed_ = false;
      knows_roots_ = true;
      identity_.roots_are(line, line.member(message.node, "result"));
      finder_.roots_are(line, line.member(message.node, "result"));
      return;
    case MessageKind::kNotification:
      if (message.method == "notifications/roots/list_changed") roots_changed_ = knows_roots_;
      if (message.method == "notifications/cancelled") return cancelled(line, params, effects);
      return;
    case MessageKind::kUnclear:
      if (mentions_a_call(line.raw(message.node))) {
        make_void(effects);
        quiet_until_ = Clock::now() + kSettle;
      }
  }
}

void Session::cancelled(const MessageLine& line, uint32_t params, Effects& effects) {
  const uint32_t id = line.member(params, "requestId");
  const auto found =
      pending_.find(line.is(id, JsonType::kString) ? "s" + line.text(id) : "n" + std::string(line.raw(id)));
  if (found == pending_.end()) return;
  if (found->second.what == Asked::kWrite) {
    found->second.cancelled = Clock::now();
    return make_void(effects);
  }
  effects.aborted = found->second.ticket;
  pending_.erase(found);
}

void Session::track(const std::string& id, Pending pending) {
  if (pending_.size() < kMaxPending)
    pending_.insert_or_assign(id, std::move(pending));
  else
    give_up("too many requests wait for an answer");
}

void Session::write_begins(const MessageLine& line, const Message& call, const std::string& tool, Effects& effects) {
  make_void(effects);
  // What runs as a task goes on after the answer, and nothing here tells when it ends.
  if (line.member(line.member(call.node, "params"), "task") != MessageLine::kNone) give_up("a task may write");
  track(call.id,
        {.what = Asked::kWrite, .raw_id = std::string(line.raw(line.member(call.node, "id"))), .tool = tool});
}

void Session::make_void(Effects& effects) {
  ++generation_;
  effects.invalidate = true;
}

void Session::give_up(const std::string& why) {
  if (!gave_up_) note("nothing is cached any more in this session: " + why);
  gave_up_ = true;
  ++generation_;
}

// ---- calls ---------------------------------------------------------------------------------------

std::optional<std::string> Session::on_call(const MessageLine& line, const Message& call) {
  const uint32_t params = line.member(call.node, "params");
  const std::string name = line.text(line.member(params, "name"));
  const auto has = [&](std::string_view member) { return line.member(params, member) != MessageLine::kNone; };
  const std::optional<Tool> tool = find_tool(line, call, name);
  const ToolUse use = tool ? tool->use : ToolUse::kWrite;
  // A task's result comes later, and the second half of a question is no call of its own.
  const bool is_plain = !has("task") && !has("inputResponses") && !has("requestState");
  if (use == ToolUse::kCache && is_plain) return look_up(line, call, *tool);
  Effects effects;
  {
    const std::lock_guard lock(mutex_);
    if (use == ToolUse::kWrite)
      write_begins(line, call, name, effects);
    else
      track(call.id, {.raw_id = std::string(line.raw(line.member(call.node, "id"))), .tool = name});
  }
  note(fmt::format("{} {}: {}", use == ToolUse::kWrite ? "write" : "pass", name,
                   use == ToolUse::kWrite ? "what was kept of this workspace is void"
                                          : "reads, but nothing says that its result stays the same"));
  finish(effects);
  return std::nullopt;
}

std::string Session::why_not_now() {
  for (auto it = pending_.begin(); it != pending_.end();) {
    const auto& pending = it->second;
    const bool is_settled = pending.cancelled && Clock::now() - *pending.cancelled > kSettle;
    it = is_settled ? pending_.erase(it) : std::next(it);
  }
  if (gave_up_) return "caching is off in this session";
  if (Clock::now() < quiet_until_) return "a message that could not be read may have changed something";
  if (!server_asked_.empty() || roots_changed_) return "the server does not know its roots yet";
  for (const auto& [id, pending] : pending_)
    if (pending.what == Asked::kWrite) return fmt::format("{} is writing", pending.tool);
  return {};
}

int64_t Session::ttl_of(const Tool& tool, bool is_checked) const {
  return settings_.ttl_s.value_or(is_checked && !tool.open_world ? kCheckedTtlS : kUncheckedTtlS);
}

std::string Session::request_of(const MessageLine& line, const Message& call, const Tool& tool, const Inputs& inputs,
                                int64_t ttl_s) const {
  const uint32_t params = line.member(call.node, "params");
  const std::string_view arguments = line.raw(line.member(params, "arguments"));
  // What nothing says of how it may change, only the session may see that sees every call to the server.
  const bool is_shared = inputs.are_named || tool.by_arguments;
  return fmt::format(R"({{"kind":"tool_result","parts":{{"tool":{},"arguments":{},"inputs":{},"session":"{}",{}}},)"
                     R"("versions":{{"tools":"{}",{}}},"deps":{},"max_age":{}}})",
                     line.raw(line.member(params, "name")), arguments.empty() ? "{}" : arguments, as_part(inputs),
                     is_shared ? "" : session_, identity_.parts(line, line.member(params, "_meta")), tool.tag,
                     version_, as_deps(inputs), ttl_s);
}

std::optional<std::string> Session::look_up(const MessageLine& line, const Message& call, const Tool& tool) {
  const auto begin = Clock::now();
  const uint32_t params = line.member(call.node, "params");
  Pending pending{.raw_id = std::string(line.raw(line.member(call.node, "id"))),
                  .tool = line.text(line.member(params, "name"))};
  std::unique_lock lock(mutex_);
  (void)changed_.wait_for(lock, kKeepingWait, [&] { return !keeping_; });
  std::string why = why_not_now();
  const InputFinder finder = finder_;
  pending.generation = generation_;
  lock.unlock();

  if (why.empty() && cache_.is_away()) why = "no instance answered a moment ago";
  if (why.empty()) {
    pending.inputs = finder.find(line, line.member(params, "arguments"), tool.path_names);
    why = pending.inputs.unseen;
  }
  Lookup found;
  if (why.empty()) {
    pending.ttl_s = ttl_of(tool, pending.inputs.are_named);
    lock.lock();
    const std::string request = request_of(line, call, tool, pending.inputs, pending.ttl_s);
    lock.unlock();
    found = cache_.lookup(request);
    why = std::move(found.why);
  }
  if (found.status == PAYONCE_HIT) {
    note(fmt::format("hit {}: {}", pending.tool, elapsed(begin)));
    return fmt::format("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{}}}\n", pending.raw_id, found.value);
  }
  note(
      fmt::format("{} {}: {}", found.ticket.empty() ? "pass" : payonce_status_name(found.status), pending.tool, why));
  if (!found.ticket.empty()) {
    pending.what = Asked::kKept;
    pending.ticket = std::move(found.ticket);
  }
  lock.lock();
  track(call.id, std::move(pending));
  return std::nullopt;
}

}  // namespace payonce::mcp
