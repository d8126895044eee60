// fill_store DIR COUNT: a data directory with so many small answers of as many keys, made in seconds, for tests of
// what a full instance shows.
#include <fmt/format.h>

#include <charconv>
#include <string_view>
#include <utility>

#include "base/env.h"
#include "base/metrics.h"
#include "cache/response_store.h"

namespace {

using namespace payonce;

constexpr size_t kBatch = 500;                    // below the queue of the disk tier's writer
constexpr uint64_t kSpread = 0x9E3779B97F4A7C15;  // makes keys of neighbours look different
constexpr int64_t kDay_ms = 86'400'000;

void fill(const char* directory, size_t count) {
  base::PosixEnv env;
  const base::SystemClock clock;
  base::Metrics metrics;
  base::WorkerPool pool({.threads = 1});
  const auto store = cache::ResponseStore::open({.directory = directory}, env, clock, pool, metrics);
  const int64_t now_ms = clock.unix_ms();
  for (size_t i = 0; i < count; ++i) {
    auto entry = std::make_shared<cache::Entry>();
    entry->scope = fmt::format("u-{:032x}", i % 50);
    entry->key = fmt::format("resp:v1:{}:{:016x}{:048x}", entry->scope, i * kSpread, i);
    entry->versions = i % 10 == 0 ? "kb=2026-11" : "";
    entry->model = i % 3 == 0 ? "gpt-5-mini" : "claude-haiku-4-5";
    entry->dialect = llm::Dialect::kOpenAiChat;
    entry->content_type = "application/json";
    entry->body = base::Bytes(fmt::format("{{\"id\":\"answer-{}\"}}", i));
    entry->created_ms = now_ms - static_cast<int64_t>(count - i) * 10;
    entry->expires_ms = now_ms + kDay_ms;
    store->insert(std::move(entry));
    if (i % kBatch == kBatch - 1) store->flush();
  }
  store->flush();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view number = argc == 3 ? argv[2] : "";
  size_t count = 0;
  if (std::from_chars(number.data(), number.data() + number.size(), count).ec != std::errc()) {
    (void)std::fputs("usage: fill_store DIR COUNT\n", stderr);
    return 2;
  }
  fill(argv[1], count);
  return 0;
}
