// The crashing file system with sealed files on it, so that each workload runs over both.
#pragma once

#include <memory>
#include <string>

#include "base/env.h"
#include "base/metrics.h"
#include "seal/sealed_env.h"

namespace payonce::crash {

enum class Disk { kPlain, kSealed };

inline std::unique_ptr<base::Env> sealed_env(base::Env& under, const std::string& root, base::Metrics& metrics) {
  auto keys = seal::Keys::parse(std::string(64, 'c'), "test");
  return std::make_unique<seal::SealedEnv>(under, root, *std::move(keys), metrics);
}

}  // namespace payonce::crash
