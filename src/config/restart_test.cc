#include "config/restart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace payonce::config {
namespace {

TEST(NeedRestart, NamesWhatOnlyAStartReads) {
  Settings running, fresh;
  running.layers = fresh.layers = {"exact", "semantic", "prefix"};
  fresh.error_bound = 0.002;
  fresh.max_body_bytes = 1 << 20;
  fresh.default_limit.requests_per_minute = 10;
  fresh.retry.attempts = 1;
  fresh.prefix.hold_ms = 1;
  fresh.prefix.max_memory_bytes = 1;
  EXPECT_THAT(need_restart(running, fresh),
              testing::UnorderedElementsAre("error_bound", "limits.max_body", "prefix.max_memory"));
  EXPECT_THAT(need_restart(running, running), testing::IsEmpty());
}

TEST(NeedRestart, ALayerCanBeSwitchedOffButNotMade) {
  Settings running, fresh;
  running.layers = {"exact", "semantic"};
  fresh.layers = {"exact"};
  EXPECT_THAT(need_restart(running, fresh), testing::IsEmpty());
  fresh.layers = {"exact", "prefix"};
  EXPECT_THAT(need_restart(running, fresh), testing::ElementsAre("layers"));
}

}  // namespace
}  // namespace payonce::config
