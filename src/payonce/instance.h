// One running Payonce: builds every part from the settings, in order, and takes them down in reverse.
// Threads: one (main's).
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "config/settings.h"
#include "payonce/local_engine.h"

namespace payonce {

class Instance {
 public:
  explicit Instance(const config::Settings& settings);
  // The same with an engine inside, which is the first upstream; it is ready when the engine is.
  Instance(const config::Settings& settings, LocalEngine::Hooks hooks);
  ~Instance();

  base::Status start();
  std::string url() const;            // "http://127.0.0.1:4141"
  const LocalEngine* engine() const;  // null: none inside
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
