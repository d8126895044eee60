// For tests of the agent cache: a cache over a real store in a directory that goes away, and questions in few words.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "agent/agent_cache.h"
#include "base/clock.h"
#include "base/env.h"
#include "base/metrics.h"
#include "base/temporary_directory.h"
#include "base/worker_pool.h"
#include "cache/response_store.h"

namespace payonce::agent {

struct CacheFixture {
  CacheFixture() { reopen(); }
  ~CacheFixture() { cache.reset(); }
  // A clean restart.
  void reopen(AgentCache::Options options = {}) {
    cache.reset();
    if (store) store->flush();
    store.reset();
    store = cache::ResponseStore::open({.directory = directory.path()}, env, clock, pool, metrics);
    pool.drain();
    cache = std::make_unique<AgentCache>(
        options, AgentCache::Parts{.clock = clock,
                                   .metrics = metrics,
                                   .store = *store,
                                   .price_usd = [](const std::string&, const llm::Usage&) { return 0.25; }});
    cache->recall();
  }
  static Caller caller(const std::string& credential, const std::string& scope_names = "") {
    return {.scope_id = scope_names.empty() ? credential : credential + "/" + scope_names,
            .credential_id = credential,
            .scope_names = scope_names,
            .name = credential};
  }
  static Question question(const std::string& task, Kind kind = Kind::kToolResult) {
    Question out{.kind = kind};
    out.parts.push_back({"task", base::sha256(task)});
    return out;
  }
  Found look(const Question& question, const Caller& who = caller("ann")) {
    return cache->look_up(std::make_shared<Question>(question), who, AgentCache::Mode::kMayBlock);
  }
  // "hit VALUE", "miss REASON", "stale NAME…".
  std::string look_text(const Question& question, const Caller& who = caller("ann")) {
    const Found found = look(question, who);
    if (const auto* hit = std::get_if<Hit>(&found)) return "hit " + std::string(hit->value.view());
    const auto* miss = std::get_if<Miss>(&found);
    if (miss == nullptr) return "neither";
    if (miss->reason != Reason::kDependency) return "miss " + std::string(reason_name(miss->reason));
    std::string out = "stale";
    for (const Dependency& dep : miss->stale) out += " " + dep.name;
    return out;
  }
  std::string ticket(const Question& question, const Caller& who = caller("ann")) {
    const Found found = look(question, who);
    const auto* miss = std::get_if<Miss>(&found);
    return miss == nullptr ? "" : miss->ticket;
  }
  // "stored", a drop's name, or an error's.
  std::string commit(Commit commit, const std::string& credential = "ann") {
    const auto done = cache->commit(commit, credential);
    return !done         ? std::string(base::code_name(done.error().code))
           : done->entry ? "stored"
                         : std::string(drop_name(done->drop));
  }
  std::string put(const Question& question, const std::string& value, const Caller& who = caller("ann")) {
    return commit({.ticket = ticket(question, who), .value = value}, who.credential_id);
  }

  base::TemporaryDirectory directory;
  base::PosixEnv env;
  base::FakeClock clock;
  base::Metrics metrics;
  base::WorkerPool pool{{.threads = 2}};
  std::unique_ptr<cache::ResponseStore> store;
  std::unique_ptr<AgentCache> cache;
};

}  // namespace payonce::agent
