// One running Payonce: builds every part from the settings, in order, and takes them down in reverse.
// Threads: one (main's).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "config/settings.h"

namespace payonce {

class Instance {
 public:
  // `local_upstream_ready`: null, or whether a supervised local model answers yet.
  Instance(const config::Settings& settings, std::function<bool()> local_upstream_ready);
  ~Instance();

  base::Status start();
  std::string url() const;  // "http://127.0.0.1:4141"
  void reload(
      const config::Settings& settings);  // what a running instance can change: upstreams, keys, prices, policy
  void drain();                           // returns when the last answer is out, or the deadline has passed

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// Where the admin token of the instance listening on `port` lies, for `payonce cache …` of the same user.
std::string admin_token_path(uint16_t port);

}  // namespace payonce
