// `payonce engine`: the engine's data plane over HTTP, and what operators look at. Each credential is a tenant.
// Threads: one (main's); requests run on its loops.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "config/settings.h"
#include "payonce/local_engine.h"

namespace payonce {

class EngineServer {
 public:
  EngineServer(const config::Settings& settings, LocalEngine::Hooks hooks);
  ~EngineServer();

  base::Status start();  // listens at once, and begins to load the model
  std::string url() const;
  const LocalEngine& engine() const;
  void drain();  // returns when the last answer is out, or the deadline has passed

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace payonce
