// Connections to one PostgreSQL, made when they are first needed and again after they were lost. They cannot write:
// the server refuses it on them.  Threads: all any; search() blocks, so never on an event loop.
// Owner: SearchService. Errors: kInvalid for what the request is to blame for (no such table or column, wrong
// dimensions), kTimeout, kUnavailable.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "retrieval/postgres/search_request.h"

struct pg_conn;

namespace payonce::retrieval {

class ConnectionPool {
 public:
  struct Options {
    std::string connection;  // a libpq connection string or URL, without a password
    std::string password;    // empty: none, or from libpq's own sources
    int64_t connect_timeout_ms = 10'000;
    int64_t statement_timeout_ms = 600'000;
  };
  explicit ConnectionPool(Options options);
  ~ConnectionPool();

  // {"rows": […]}.
  base::Result<std::string> search(const Statement& statement);

 private:
  struct Closer {
    void operator()(pg_conn* connection) const;
  };
  using Connection = std::unique_ptr<pg_conn, Closer>;
  base::Result<Connection> take();

  const Options options_;
  std::mutex mutex_;
  std::vector<Connection> idle_;  // guarded by mutex_; as many as threads that search
};

}  // namespace payonce::retrieval
