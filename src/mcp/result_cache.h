// The instance's agent API as the proxy uses it: results of tools, looked up, kept, and made void.
// Threads: any, at once.  Without an instance every lookup is a miss without a ticket.
#pragma once

#include <payonce.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

namespace payonce::mcp {

struct Lookup {
  payonce_status status = PAYONCE_UNAVAILABLE;
  std::string value;   // of a hit: JSON
  std::string ticket;  // empty: nothing to commit with
  std::string why;     // for people: the reason of a miss, what was stale, what went wrong
};

class ResultCache {
 public:
  // `version`: the tag that all entries of this workspace carry, "mcp=…".
  explicit ResultCache(std::string version);

  // Nobody answered a moment ago: a lookup would be a miss, so that what it needs need not be gathered.
  bool is_away() const;
  Lookup lookup(const std::string& request_json);
  // What became of it, for people: "stored", or why not.
  std::string commit(const std::string& ticket, std::string_view value_json, int64_t ttl_s);
  void abort(const std::string& ticket);
  // Every entry and every open ticket of the workspace is void. When the instance cannot be told, nothing is looked
  // up until it has been.
  void invalidate();

 private:
  bool tell_invalid();
  void remember(payonce_status status);

  struct Close {
    void operator()(payonce_client* client) const { payonce_close(client); }
  };
  const std::unique_ptr<payonce_client, Close> client_;
  const std::unique_ptr<payonce_client, Close> keeper_;  // commits
  const std::string invalidation_;
  std::atomic<bool> owes_invalidation_{false};
  std::atomic<int64_t> away_until_ms_{0};  // of the steady clock
};

}  // namespace payonce::mcp
