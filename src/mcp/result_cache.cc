#include "mcp/result_cache.h"

#include <fmt/format.h>

#include <chrono>

#include "mcp/message.h"

namespace payonce::mcp {
namespace {

struct Free {
  void operator()(payonce_result* result) const { payonce_result_free(result); }
};
using Result = std::unique_ptr<payonce_result, Free>;

std::string text_of(const char* text) { return text == nullptr ? "" : text; }

constexpr int64_t kAwayMs = 1000;  // as the client's retry_ms
// A client waits for its answer meanwhile, and an invalidation that fails is made up for.
constexpr int kCallMs = 250;
// Of a result, which may be long, for an instance that has just given a ticket; its client has its answer by then.
constexpr int kCommitMs = 1000;

int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

payonce_client* open_client(int call_ms) {
  payonce_options options = {};
  options.call_ms = call_ms;
  options.retry_ms = kAwayMs;
  return payonce_open(&options);
}

// "reason" of an answer, and what was stale.
std::string reason_of(const Result& result) {
  const std::string json = text_of(payonce_result_json(result.get()));
  const auto line = MessageLine::parse(json);
  if (!line) return text_of(payonce_result_error(result.get()));
  const std::string reason = line->text(line->member(0, "reason"));
  const std::string_view stale = line->raw(line->member(0, "stale"));
  return stale.empty() ? reason : fmt::format("{} {}", reason, stale);
}

}  // namespace

ResultCache::ResultCache(std::string version)
    : client_(open_client(kCallMs)),
      keeper_(open_client(kCommitMs)),
      invalidation_(fmt::format(R"({{"version":{}}})", json_string(version))) {}

bool ResultCache::is_away() const { return now_ms() < away_until_ms_; }

void ResultCache::remember(payonce_status status) {
  away_until_ms_ = status == PAYONCE_UNAVAILABLE ? now_ms() + kAwayMs : 0;
}

Lookup ResultCache::lookup(const std::string& request_json) {
  if (owes_invalidation_ && !tell_invalid()) return {.why = "entries that may be void could not be removed"};
  const Result result(payonce_lookup(client_.get(), request_json.c_str()));
  Lookup out{.status = payonce_result_status(result.get()),
             .value = text_of(payonce_result_value(result.get())),
             .ticket = text_of(payonce_result_ticket(result.get())),
             .why = text_of(payonce_result_error(result.get()))};
  remember(out.status);
  if (out.why.empty() && out.status != PAYONCE_HIT) out.why = reason_of(result);
  return out;
}

std::string ResultCache::commit(const std::string& ticket, std::string_view value_json, int64_t ttl_s) {
  const std::string request = fmt::format(R"({{"ticket":{},"outcome":"success","ttl":{},"value":{}}})",
                                          json_string(ticket), ttl_s, value_json);
  const Result result(payonce_commit(keeper_.get(), request.c_str()));
  const payonce_status status = payonce_result_status(result.get());
  if (status == PAYONCE_OK) return "stored";
  const std::string why = text_of(payonce_result_error(result.get()));
  return fmt::format("{}: {}", payonce_status_name(status), why.empty() ? reason_of(result) : why);
}

void ResultCache::abort(const std::string& ticket) {
  const Result result(payonce_abort(client_.get(), fmt::format(R"({{"ticket":{}}})", json_string(ticket)).c_str()));
}

bool ResultCache::tell_invalid() {
  const Result result(payonce_invalidate(client_.get(), invalidation_.c_str()));
  const bool told = payonce_result_status(result.get()) == PAYONCE_OK;
  if (told) owes_invalidation_ = false;
  return told;
}

void ResultCache::invalidate() {
  if (!tell_invalid()) owes_invalidation_ = true;
}

}  // namespace payonce::mcp
