// For this module's tests: a directory that goes away, entries that can be told apart, and a store with its
// surroundings.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/env.h"
#include "base/hash.h"
#include "base/metrics.h"
#include "base/temporary_directory.h"
#include "base/worker_pool.h"
#include "cache/response_store.h"

namespace payonce::cache {

using base::TemporaryDirectory;

inline std::shared_ptr<Entry> make_entry(const std::string& key, const std::string& body, const base::Clock& clock,
                                         int64_t ttl_ms = 3'600'000) {
  auto entry = std::make_shared<Entry>();
  entry->key = key;
  entry->scope = "u-1";
  entry->versions = "kb=7,tools=v3";
  entry->model = "gpt-x";
  entry->dialect = llm::Dialect::kAnthropicMessages;
  entry->form = llm::Form::kStream;
  entry->include_usage = true;
  entry->content_type = "text/event-stream";
  entry->body = base::Bytes(body);
  entry->pace_ms = {0, 40, 70};
  entry->pace_offset = {0, 1, 2};
  entry->usage = {.fresh = 1, .read = 2, .write_short = 3, .write_long = 4, .output = 5, .known = true};
  entry->cost_usd = 0.0125;
  entry->created_ms = clock.unix_ms();
  entry->expires_ms = clock.unix_ms() + ttl_ms;
  return entry;
}

// The pool outlives the store, as in production; reopen() is a clean restart.
struct StoreFixture {
  explicit StoreFixture(ResponseStore::Options wanted = {}) : options(std::move(wanted)) {
    options.directory = directory.path();
    reopen();
  }
  void reopen() {
    store.reset();
    store = ResponseStore::open(options, env, clock, pool, metrics);
    pool.drain();  // the scan
  }
  // As the gateway does it.
  EntryPtr get(const std::string& key) {
    Found found = store->find(key);
    if (found.entry || found.reason != MissReason::kOnDisk) return found.entry;
    return store->load(key);
  }
  // Empty: a miss.
  std::string body(const std::string& key) {
    const EntryPtr entry = get(key);
    return entry ? std::string(entry->body.view()) : std::string();
  }

  TemporaryDirectory directory;
  ResponseStore::Options options;
  base::PosixEnv env;
  base::FakeClock clock;
  base::Metrics metrics;
  base::WorkerPool pool{{.threads = 2, .queue_limit = 4096}};
  std::unique_ptr<ResponseStore> store;
};

}  // namespace payonce::cache
