#include "engine/fair_queue.h"

#include <gtest/gtest.h>

#include "engine/sequence.h"

namespace payonce::engine {
namespace {

struct FairQueueTest : testing::Test {
  Group& make(const std::string& tenant) {
    groups.push_back(std::make_unique<Group>());
    groups.back()->id = groups.size();
    groups.back()->request.tenant = tenant;
    queue.push(*groups.back());
    return *groups.back();
  }
  Group* take() {
    Group* group = queue.front();
    if (group != nullptr) queue.pop_front();
    return group;
  }
  std::vector<std::unique_ptr<Group>> groups;
  FairQueue queue;
};

TEST_F(FairQueueTest, OfOneTenantTheFirstComesFirst) {
  Group& first = make("a");
  Group& second = make("a");
  EXPECT_EQ(take(), &first);
  EXPECT_EQ(take(), &second);
  EXPECT_EQ(take(), nullptr);
}

TEST_F(FairQueueTest, WhoWasGivenLeastIsNext) {
  make("a");
  Group& b = make("b");
  queue.charge("a", 100);
  EXPECT_EQ(take(), &b);
}

TEST_F(FairQueueTest, IdleTimeEarnsNothing) {
  Group& busy = make("busy");
  EXPECT_EQ(take(), &busy);
  queue.charge("busy", 1000);
  make("busy");
  make("late");
  EXPECT_EQ(queue.counter("late"), 1000);
}

TEST_F(FairQueueTest, ATenantIsForgottenWithItsLastRequest) {
  Group& running = make("a");
  EXPECT_EQ(take(), &running);
  Group& waiting = make("a");
  queue.charge("a", 10);
  queue.remove(waiting);
  EXPECT_EQ(queue.waiting(), 0);
  EXPECT_EQ(queue.counter("a"), 10);  // one still runs
  queue.remove(running);
  EXPECT_EQ(queue.counter("a"), 0);
}

}  // namespace
}  // namespace payonce::engine
