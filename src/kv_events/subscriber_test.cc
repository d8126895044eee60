// Over real sockets, against a publisher that does what vLLM's does (PUB, ROUTER, batches kept).
#include "kv_events/subscriber.h"

#include <gtest/gtest.h>
#include <zmq.h>

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <thread>

#include "base/temporary_directory.h"
#include "kv_events/subscriptions.h"
#include "kv_events/test_batches.h"

namespace payonce::kv_events {
namespace {

class Publisher {
 public:
  explicit Publisher(const Endpoints& endpoints, bool replays_topic = true)
      : replays_topic_(replays_topic), context_(zmq_ctx_new()) {
    pub_ = bound(ZMQ_PUB, endpoints.events);
    router_ = bound(ZMQ_ROUTER, endpoints.replay);
    thread_ = std::thread([this] { answer(); });
  }
  ~Publisher() {
    stop_ = true;
    thread_.join();
    zmq_close(pub_);
    zmq_close(router_);
    zmq_ctx_term(context_);
  }
  void publish(const std::string& payload, bool lose = false) {
    const std::lock_guard lock(mutex_);
    const std::string number = number_frame(next_);
    kept_[next_++] = payload;
    if (lose) return;
    zmq_send(pub_, "topic", 5, ZMQ_SNDMORE);
    zmq_send(pub_, number.data(), number.size(), ZMQ_SNDMORE);
    zmq_send(pub_, payload.data(), payload.size(), 0);
  }

 private:
  static std::string number_frame(uint64_t number) { return test::number(number).substr(1); }
  void* bound(int type, const std::string& endpoint) {
    void* socket = zmq_socket(context_, type);
    const int none = 0;
    zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
    EXPECT_EQ(zmq_bind(socket, endpoint.c_str()), 0) << endpoint;
    return socket;
  }
  void answer() {
    while (!stop_) {
      zmq_pollitem_t item{router_, 0, ZMQ_POLLIN, 0};
      if (zmq_poll(&item, 1, 10) <= 0) continue;
      char identity[256], number[8];
      const int size = zmq_recv(router_, identity, sizeof identity, 0);
      zmq_recv(router_, number, 0, 0);
      zmq_recv(router_, number, sizeof number, 0);
      const auto first = static_cast<uint8_t>(number[7]);  // tests have few
      const std::lock_guard lock(mutex_);
      for (auto it = kept_.lower_bound(first); it != kept_.end(); ++it)
        send({identity, static_cast<size_t>(size)}, number_frame(it->first), it->second);
      send({identity, static_cast<size_t>(size)}, number_frame(UINT64_MAX), "");
    }
  }
  void send(std::string_view identity, const std::string& number, const std::string& payload) {
    zmq_send(router_, identity.data(), identity.size(), ZMQ_SNDMORE);
    zmq_send(router_, "", 0, ZMQ_SNDMORE);
    if (replays_topic_) zmq_send(router_, "topic", 5, ZMQ_SNDMORE);
    zmq_send(router_, number.data(), number.size(), ZMQ_SNDMORE);
    zmq_send(router_, payload.data(), payload.size(), 0);
  }

  const bool replays_topic_;
  void* const context_;
  void* pub_ = nullptr;
  void* router_ = nullptr;
  std::mutex mutex_;
  uint64_t next_ = 0;
  std::map<uint64_t, std::string> kept_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

bool eventually(const std::function<bool()>& holds) {
  for (int i = 0; i < 6000; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

std::string block(uint64_t hash, uint64_t parent, uint32_t token) {
  return test::batch(
      {test::encoded({.hashes = {hash}, .parent = parent, .tokens = {token, token}, .block_size = 2})});
}

struct SubscriberTest : testing::Test {
  size_t held(const Subscriber& subscriber) const {
    return subscriber.index().cached_tokens(std::vector<uint32_t>{1, 1, 2, 2, 3, 3}, "m");
  }
  base::SystemClock clock;
  base::TemporaryDirectory directory;
  const Endpoints endpoints{"ipc://" + directory.path() + "/events", "ipc://" + directory.path() + "/replay"};
};

struct ReplayTest : SubscriberTest, testing::WithParamInterface<bool> {};

TEST_P(ReplayTest, ItCatchesUpFollowsAndFillsGaps) {
  Publisher publisher(endpoints, GetParam());
  publisher.publish(block(1, 0, 1));  // before anyone listens
  const Subscriber subscriber(endpoints, clock);
  ASSERT_TRUE(eventually([&] { return held(subscriber) == 2; }));
  EXPECT_TRUE(subscriber.index().state().complete);
  publisher.publish(block(2, 1, 2), true);  // it never comes
  ASSERT_TRUE(eventually([&] {
    if (held(subscriber) == 6) return true;
    publisher.publish(block(3, 2, 3));
    return false;
  }));
  EXPECT_TRUE(subscriber.index().state().complete);
}

INSTANTIATE_TEST_SUITE_P(WithTopicOrWithout, ReplayTest, testing::Bool());

TEST_F(SubscriberTest, ItComesBackToAnotherEngine) {
  auto publisher = std::make_unique<Publisher>(endpoints);
  publisher->publish(block(1, 0, 1));
  publisher->publish(block(2, 1, 2));
  const Subscriber subscriber(endpoints, clock);
  ASSERT_TRUE(eventually([&] { return held(subscriber) == 4; }));
  publisher.reset();
  ASSERT_TRUE(eventually([&] { return held(subscriber) == 0; }));
  EXPECT_TRUE(eventually([&] { return !subscriber.stats().connected; }));  // what it held goes first
  publisher = std::make_unique<Publisher>(endpoints);
  publisher->publish(block(9, 0, 1));
  ASSERT_TRUE(eventually([&] { return held(subscriber) == 2; }));
  EXPECT_TRUE(eventually([&] { return subscriber.stats().restarts == 1; }));
  EXPECT_EQ(subscriber.index().state().losses, 1u);
}

TEST_F(SubscriberTest, EndpointsThatAreWantedTwiceAreListenedToOnce) {
  Subscriptions subscriptions(clock);
  const auto first = subscriptions.get(endpoints);
  EXPECT_EQ(subscriptions.get(endpoints), first);
  EXPECT_NE(subscriptions.get({"ipc://" + directory.path() + "/other", ""}), first);
}

TEST_F(SubscriberTest, AnEndpointThatNobodyCanReachHarmsNothing) {
  const Subscriber bad({"tcp://", ""}, clock), nobody({"tcp://127.0.0.1:1", "tcp://127.0.0.1:1"}, clock);
  EXPECT_FALSE(nobody.stats().connected);
  EXPECT_EQ(held(nobody), 0u);
}

}  // namespace
}  // namespace payonce::kv_events
