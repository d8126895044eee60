#include "agent/api/agent_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <exception>
#include <utility>

#include "agent/api/answers.h"
#include "base/log.h"
#include "identity/scope.h"

namespace payonce::agent {
namespace {

constexpr std::string_view kPath = "/payonce/v1/";
constexpr std::array<std::pair<std::string_view, Verb>, 6> kVerbs{{{"lookup", Verb::kLookup},
                                                                   {"commit", Verb::kCommit},
                                                                   {"abort", Verb::kAbort},
                                                                   {"invalidate", Verb::kInvalidate},
                                                                   {"hint", Verb::kHint},
                                                                   {"feedback", Verb::kFeedback}}};

Reply refusal(const base::Error& error) {
  return {.status = base::code_http_status(error.code), .body = error_json(error)};
}

std::string count_json(std::string_view status, std::string_view name, uint64_t count) {
  return fmt::format(R"({{"status":"{}","{}":{}}})", status, name, count);
}

base::Status allowed(const std::vector<Dependency>& deps, bool on_this_machine) {
  if (on_this_machine || !looks_at_disk(deps)) return {};
  return base::fail(base::Code::kInvalid,
                    "deps: files are looked at on the machine of this instance, and the call comes from another one; "
                    "give a digest as a dependency of type value instead");
}

}  // namespace

std::optional<Verb> verb_of(std::string_view path) {
  if (!path.starts_with(kPath)) return std::nullopt;
  for (const auto& [name, verb] : kVerbs)
    if (path.substr(kPath.size()) == name) return verb;
  return std::nullopt;
}

// A look-up on its way.
struct AgentApi::Lookup {
  QuestionPtr question;
  Caller caller;
  net::EventLoop& loop;
  Done done;
  int64_t deadline_us = 0;  // monotonic; until then it may wait for another caller
  pipeline::AskedQuestionPtr by_meaning;
};

base::Result<Caller> AgentApi::caller_of(const Peer& peer, std::string_view scope) const {
  net::Headers headers = peer.headers;
  if (!scope.empty() && !headers.try_add("X-Payonce-Scope", scope))
    return base::fail(base::Code::kInvalid, "scope: holds control characters");
  return parts_.identify(headers);
}

void AgentApi::call(Verb verb, base::Bytes body, Peer peer, net::EventLoop& loop, Done done) {
  if (verb == Verb::kLookup) return look_up(body, peer, loop, std::move(done));
  if (verb == Verb::kStats)
    return done({.status = 200, .body = "{\"layers\":" + kind_stats_json(parts_.cache) + "}"});
  post(loop, done, [this, verb, body = std::move(body), peer = std::move(peer)] {
    auto reply = blocking_call(verb, body.view(), peer);
    return reply ? *std::move(reply) : refusal(reply.error());
  });
}

void AgentApi::post(net::EventLoop& loop, const Done& done, std::function<Reply()> work) {
  const bool queued = parts_.pool.post([&loop, done, work = std::move(work)] {
    Reply reply;
    try {
      reply = work();
    } catch (const std::exception& error) {
      base::log_error("agent API: {}", error.what());
      reply = refusal({base::Code::kInternal, "an internal fault; treat it as a miss"});
    }
    loop.post([done, reply = std::move(reply)]() mutable { done(std::move(reply)); });
  });
  if (!queued) done(refusal({base::Code::kExhausted, "too many calls at once; treat it as a miss"}));
}

void AgentApi::look_up(const base::Bytes& body, const Peer& peer, net::EventLoop& loop, Done done) {
  auto call = read_lookup(body.view(), known_, identity::credential_of(peer.headers));
  if (!call) return done(refusal(call.error()));
  auto caller = caller_of(peer, call->scope);
  if (!caller) return done(refusal(caller.error()));
  if (const auto ok = allowed(call->question->deps, peer.on_this_machine); !ok) return done(refusal(ok.error()));
  const int64_t deadline_us = parts_.clock.monotonic_us() + call->question->wait_ms * 1000;
  go_on(std::make_shared<Lookup>(Lookup{.question = std::move(call->question),
                                        .caller = *std::move(caller),
                                        .loop = loop,
                                        .done = std::move(done),
                                        .deadline_us = deadline_us,
                                        .by_meaning = nullptr}),
        AgentCache::Mode::kQuick);
}

// Quick: on the loop. Otherwise on the pool.
void AgentApi::go_on(const LookupPtr& lookup, AgentCache::Mode mode) {
  const Question& question = *lookup->question;
  Found found = parts_.cache.look_up(lookup->question, lookup->caller, mode, lookup->by_meaning);
  if (std::holds_alternative<Blocking>(found)) return go_on_in_pool(lookup);
  if (std::holds_alternative<Meaningful>(found)) return ask_meaning(lookup);
  if (std::holds_alternative<Busy>(found)) return wait(lookup);
  Reply reply;
  if (const auto* hit = std::get_if<Hit>(&found))
    reply.body = hit_json(*hit, question, parts_.clock.unix_ms());
  else
    reply.body = miss_json(std::get<Miss>(found), question);
  if (mode == AgentCache::Mode::kQuick) return lookup->done(std::move(reply));
  lookup->loop.post([lookup, reply = std::move(reply)]() mutable { lookup->done(std::move(reply)); });
}

void AgentApi::go_on_in_pool(const LookupPtr& lookup) {
  if (parts_.pool.post([this, lookup] { go_on(lookup, AgentCache::Mode::kMayBlock); })) return;
  lookup->loop.post(
      [lookup] { lookup->done(refusal({base::Code::kExhausted, "too many look-ups at once; treat it as a miss"})); });
}

void AgentApi::ask_meaning(const LookupPtr& lookup) {
  parts_.cache.meaning()->look_up(*lookup->question, lookup->caller,
                                  [this, lookup](pipeline::AskedQuestionPtr asked) {
                                    lookup->by_meaning = std::move(asked);
                                    go_on_in_pool(lookup);  // the embedder's thread has other texts to read
                                  });
}

// Until the other caller is done, or the time is up: whichever comes first asks again.
void AgentApi::wait(const LookupPtr& lookup) {
  const int64_t left_us = lookup->deadline_us - parts_.clock.monotonic_us();
  const auto over = std::make_shared<std::atomic<bool>>(false);
  const auto again = [this, lookup, over](bool in_time) {
    if (over->exchange(true)) return;
    if (!in_time) {
      auto hasty = std::make_shared<Question>(*lookup->question);
      hasty->wait_ms = 0;
      lookup->question = std::move(hasty);
    }
    go_on_in_pool(lookup);
  };
  lookup->loop.post([lookup, left_us, again] {
    const auto timer = std::make_shared<boost::asio::steady_timer>(lookup->loop.context());
    timer->expires_after(std::chrono::microseconds(std::max<int64_t>(left_us, 0)));
    timer->async_wait([timer, again](const boost::system::error_code& error) {
      if (!error) again(false);
    });
  });
  parts_.cache.when_free(lookup->question, lookup->caller,
                         [lookup, again] { lookup->loop.post([again] { again(true); }); });
}

base::Result<Reply> AgentApi::blocking_call(Verb verb, std::string_view body, const Peer& peer) {
  PAYONCE_TRY(const Caller caller, caller_of(peer, ""));
  AgentCache& cache = parts_.cache;
  switch (verb) {
    case Verb::kCommit: {
      PAYONCE_TRY(const CommitCall call, read_commit(body));
      PAYONCE_CHECK_OK(allowed(call.commit.deps, peer.on_this_machine));
      const bool good = call.outcome == "success";
      if (!call.run.empty() && good)
        return Reply{.body = count_json("stored", "entries", cache.publish(call.run, caller.credential_id))};
      if (!call.run.empty()) {
        (void)cache.abort(call.run, caller.credential_id);
        return Reply{.body = committed_json({.entry = nullptr, .drop = Drop::kOutcome})};
      }
      if (!good && !call.commit.pending) {
        PAYONCE_CHECK_OK(cache.drop_ticket(call.commit.ticket, caller.credential_id));
        return Reply{.body = committed_json({.entry = nullptr, .drop = Drop::kOutcome})};
      }
      PAYONCE_TRY(const Committed committed, cache.commit(call.commit, caller.credential_id));
      return Reply{.body = committed_json(committed)};
    }
    case Verb::kAbort: {
      PAYONCE_TRY(const AbortCall call, read_abort(body));
      if (!call.run.empty())
        return Reply{.body = count_json("aborted", "entries", cache.abort(call.run, caller.credential_id))};
      PAYONCE_CHECK_OK(cache.drop_ticket(call.ticket, caller.credential_id));
      return Reply{.body = count_json("aborted", "entries", 0)};
    }
    case Verb::kInvalidate: {
      PAYONCE_TRY(const Selection selection, read_invalidate(body));
      return Reply{.body = count_json("ok", "removed", cache.invalidate(selection, caller.credential_id))};
    }
    case Verb::kHint: {
      PAYONCE_TRY(const HintCall call, read_hint(body));
      if (call.ended) cache.session_ended(call.session, caller.credential_id);
      return Reply{.body = R"({"status":"ok"})"};
    }
    case Verb::kFeedback: {
      PAYONCE_TRY(const FeedbackCall call, read_feedback(body));
      PAYONCE_TRY(const Caller narrowed, caller_of(peer, call.scope));
      PAYONCE_CHECK_OK(cache.was_wrong(call.entry, call.hit, narrowed));
      return Reply{.body = R"({"status":"ok"})"};
    }
    case Verb::kLookup:
    case Verb::kStats: break;
  }
  return base::fail(base::Code::kInternal, "not a call of this kind");
}

}  // namespace payonce::agent
