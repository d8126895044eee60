// Live traffic as a log that `payonce audit` and `payonce lint` read: a JSON line for each finished request
// (docs/recording.md). Off until it has a file.
//
// A request never waits: rows queue for a writer thread up to a bound, beyond it they are dropped and counted. Each
// write holds whole lines; with a name in .zst each is a zstd frame of its own, so a crash loses what was not written
// yet, and at most the end of the last write, which is cut off at the next start.
// Threads: all any.  Owner: Instance.  Files: made 0600; `FILE.1` is the one before. Never headers.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/env.h"
#include "base/metrics.h"

namespace payonce::record {

struct Exchange {
  int64_t unix_ms = 0;        // when the request began
  int64_t latency_ms = 0;     // to the end of the answer
  int64_t first_byte_ms = 0;  // to its first byte
  std::string path;           // without query
  std::string session;        // hashed; empty: the client told none
  std::string user;           // scope id
  base::Bytes request;        // a JSON object that was read without error
  // The answer's body as the client got it, called on the writer thread; null, or nothing: there is none, or it is
  // too large.
  std::function<std::optional<base::Bytes>()> response;
  size_t response_bytes = 0;  // that it holds meanwhile
  int status = 0;             // as sent; 499: the client left
  std::string_view cache;     // exact, semantic, collapsed, miss, bypass, stale, request; static text
};

// The row without a newline at its end. What holds credentials in it (tools' and MCP servers' `authorization`,
// `authorization_token` and `headers`) is overwritten in its length.
std::string row_of(const Exchange& exchange, std::optional<base::Bytes> response);

class Recorder {
 public:
  struct Options {
    std::string file;                        // empty: off
    uint64_t max_bytes = uint64_t{1} << 30;  // of the file and the one before, together
  };
  static constexpr size_t kMaxQueued_bytes = 64 << 20;  // requests and answers
  static constexpr size_t kMaxQueued = 4'096;
  static constexpr int64_t kGather_ms = 1'000;  // rows of so long share a frame

  Recorder(base::Env& env, const base::Clock& clock, base::Metrics& metrics);
  ~Recorder();  // writes what is queued
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // Takes effect with the next row; the file is opened anew, so that one that was moved away is made again.
  void configure(Options options);
  bool on() const { return on_.load(std::memory_order_relaxed); }
  void add(Exchange exchange);
  void flush();  // returns when what was added before is written; for tests

 private:
  struct Queued {
    std::optional<Options> options;  // a change, or
    Exchange exchange;
    size_t bytes = 0;
  };
  class Writer;
  void push(Queued queued);
  void run();

  base::Env& env_;
  const base::Clock& clock_;
  const base::Counter written_, dropped_, failed_;
  std::atomic<bool> on_{false};
  std::mutex mutex_;
  std::condition_variable wake_, idle_;
  std::deque<Queued> queue_;  // guarded by mutex_
  size_t queued_bytes_ = 0;   // guarded by mutex_
  bool stopping_ = false;     // guarded by mutex_
  bool hurry_ = false;        // guarded by mutex_: somebody waits in flush()
  bool idle_now_ = true;      // guarded by mutex_: nothing is gathered or being written
  std::thread thread_;        // begun by the first configure() with a file
};

}  // namespace payonce::record
