// The seeds that a workload is run with: 1 to PAYONCE_CRASH_SEEDS (60), or PAYONCE_CRASH_SEED alone, to see a failure
// again.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>

#include "base/log.h"
#include "sealed_disk.h"

namespace payonce::crash {

inline uint64_t from_environment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value ? std::strtoull(value, nullptr, 10) : otherwise;
}

template <typename Workload>
void run_seeds(Disk disk, int steps) {
  base::configure_log(base::LogLevel::kOff, base::LogFormat::kText);
  if (const uint64_t seed = from_environment("PAYONCE_CRASH_SEED", 0); seed != 0)
    return Workload(seed, disk).run(steps);
  const uint64_t seeds = from_environment("PAYONCE_CRASH_SEEDS", 60);
  for (uint64_t seed = 1; seed <= seeds && !testing::Test::HasFailure(); ++seed) Workload(seed, disk).run(steps);
}

}  // namespace payonce::crash
