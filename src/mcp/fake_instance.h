// For tests: an instance's agent API over a Unix socket, as small as it can be: exact keys, value dependencies,
// tickets, invalidation by version. Each credential has its own entries.  Threads: its own.
#pragma once

#include <atomic>
#include <boost/json.hpp>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/temporary_directory.h"

namespace payonce::mcp {

class FakeInstance {
 public:
  FakeInstance();  // and PAYONCE_SOCKET names it; PAYONCE_TIMEOUT_MS lets it take its time on a busy machine
  ~FakeInstance();

  size_t entries();
  size_t open_tickets();
  std::vector<boost::json::object> lookups();  // all so far

 private:
  struct Entry {
    std::string credential;
    boost::json::object parts, versions;
    boost::json::array deps;
    boost::json::value value;
    std::string ticket;  // empty: committed
  };
  void serve(int fd);
  boost::json::object answer(char verb, const boost::json::object& body, std::string& credential);
  boost::json::object lookup(const boost::json::object& body, const std::string& credential);
  boost::json::object commit(const boost::json::object& body);
  boost::json::object invalidate(const boost::json::object& body, const std::string& credential);

  base::TemporaryDirectory folder_;
  int listener_ = -1;
  std::mutex mutex_;
  std::list<Entry> entries_;
  std::vector<boost::json::object> lookups_;
  uint64_t next_ticket_ = 1;
  std::vector<int> open_;
  std::vector<std::thread> threads_;  // the first accepts
};

}  // namespace payonce::mcp
