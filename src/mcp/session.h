// What the proxy makes of the messages between a client and its server: which calls are answered from the cache,
// which results are kept, and what makes them void.
//
// A result is kept only when nothing that could make it wrong happened between the look-up and the answer: no call
// that writes, no list_changed or resource update, no question to the user or to a model, no change of an input.
// While a call that writes is on its way, nothing is answered from the cache; before and after it, all entries of the
// workspace are void. Whatever is not understood passes through, and what it may have changed is assumed.
//
// Threads: on_client_* one, on_server_*, passed_on() and unanswered() another; the two at once.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "mcp/inputs.h"
#include "mcp/message.h"
#include "mcp/result_cache.h"
#include "mcp/server_identity.h"
#include "mcp/settings.h"
#include "mcp/tool_table.h"

namespace payonce::mcp {

class Session {
 public:
  using Send = std::function<void(std::string_view line)>;  // called on the client's thread alone
  using Log = std::function<void(const std::string& text)>;
  Session(const ProxySettings& settings, std::string version, ResultCache& cache, Send to_server, Log log);

  // The line that the client gets at once; nothing: pass it on to the server.
  std::optional<std::string> on_client_line(std::string_view line);
  void on_client_piece();  // a part of a line too long to be read passes through

  // Whether the line is passed on to the client. When it has been, or not: passed_on(), while it still lives.
  bool on_server_line(std::string_view line);
  void passed_on();
  void on_server_piece();
  // The server is gone: error lines for what it will not answer.
  std::string unanswered(std::string_view why);

 private:
  using Clock = std::chrono::steady_clock;
  enum class Asked : uint8_t { kOther, kInitialize, kTools, kKept, kWrite };
  struct Pending {
    Asked what = Asked::kOther;
    std::string raw_id;       // as the client spelled it
    bool is_first = false;    // kTools: the first page
    uint64_t listing = 0;     // kTools: of which state of the server's list
    std::string tool;         // kKept, kWrite
    std::string ticket;       // kKept
    uint64_t generation = 0;  // kKept: nothing may have been made void since
    int64_t ttl_s = 0;
    Inputs inputs;
    std::optional<Clock::time_point> cancelled;  // kWrite: no answer need come
  };
  struct Kept {  // a result on its way into the cache
    Pending call;
    std::string_view value;
  };
  struct Effects {  // of a message, done without the lock
    bool invalidate = false;
    std::string aborted;  // tickets that nothing will come of, one at most a message
  };

  // Without the lock.
  std::optional<std::string> on_call(const MessageLine& line, const Message& call);
  std::optional<std::string> look_up(const MessageLine& line, const Message& call, const Tool& tool);
  std::optional<Tool> find_tool(const MessageLine& line, const Message& call, const std::string& name);
  void ask_for_tools(const MessageLine& line, const Message& call);
  void finish(const Effects& effects);
  void note(const std::string& text) const;

  // With the lock.
  void from_client(const MessageLine& line, const Message& message, Effects& effects);
  void from_server(const MessageLine& line, const Message& message, bool may_keep, Effects& effects);
  void on_answer(const MessageLine& line, const Message& message, bool may_keep, Effects& effects);
  void on_own_answer(const MessageLine& line, const Message& message);
  void cancelled(const MessageLine& line, uint32_t params, Effects& effects);
  void track(const std::string& id, Pending pending);
  void write_begins(const MessageLine& line, const Message& call, const std::string& tool, Effects& effects);
  void make_void(Effects& effects);
  void give_up(const std::string& why);
  std::string why_not_now();  // why nothing is answered from the cache at present; empty: it may be
  std::string request_of(const MessageLine& line, const Message& call, const Tool& tool, const Inputs& inputs,
                         int64_t ttl_s) const;
  int64_t ttl_of(const Tool& tool, bool is_checked) const;

  const ProxySettings& settings_;
  const std::string version_;  // of the workspace's entries
  const std::string session_;  // random: of entries that only this session may see
  const std::string own_ids_;  // prefix of the ids of requests that the proxy makes itself
  ResultCache& cache_;
  const Send to_server_;
  const Log log_;

  std::mutex mutex_;  // guards all below but kept_
  std::condition_variable changed_;
  ServerIdentity identity_;
  ToolTable tools_;
  InputFinder finder_;
  std::map<std::string, Pending> pending_;    // by id
  std::map<std::string, bool> server_asked_;  // ids of roots/list requests that wait for the client
  bool roots_changed_ = false;                // and the server has not asked again
  bool knows_roots_ = false;                  // the server has asked once
  uint64_t generation_ = 0;
  uint64_t listing_ = 0;
  std::optional<uint64_t> asked_listing_;  // which was asked for by the proxy itself
  bool own_answer_came_ = false;
  bool own_page_is_first_ = false;
  std::string own_cursor_;
  uint64_t own_count_ = 0;
  Clock::time_point quiet_until_{};
  bool gave_up_ = false;
  bool keeping_ = false;

  std::optional<Kept> kept_;  // the server's thread alone
};

}  // namespace payonce::mcp
