#include "kv_events/subscriber.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "base/log.h"
#include "kv_events/libzmq.h"

namespace payonce::kv_events {
namespace {

constexpr int kQueue_batches = 20'000;  // that wait for us; more make a gap
constexpr int64_t kMaxMessage_bytes = 64 << 20;
constexpr int kHeartbeat_ms = 10'000, kHeartbeatTimeout_ms = 30'000;
constexpr int kReconnect_ms = 100, kMaxReconnect_ms = 5'000;
constexpr int kReplay_ms = 2'000;  // without a frame
constexpr int kWatched_events = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED;
constexpr const char* kMonitor = "inproc://events";

struct CloseContext {
  void operator()(void* context) const { libzmq().ctx_term(context); }
};
struct CloseSocket {
  void operator()(void* socket) const { libzmq().close(socket); }
};
using Context = std::unique_ptr<void, CloseContext>;
using Socket = std::unique_ptr<void, CloseSocket>;

void set(const Socket& socket, int option, int value) {
  libzmq().setsockopt(socket.get(), option, &value, sizeof value);
}

using Frames = std::vector<std::string>;

// The message that waits, or nothing. More frames than anyone sends are read and dropped.
Frames receive(void* socket) {
  constexpr size_t kMaxFrames = 8;
  Frames out;
  zmq_msg_t message;
  for (bool more = true; more;) {
    libzmq().msg_init(&message);
    if (libzmq().msg_recv(&message, socket, ZMQ_DONTWAIT) < 0) {
      libzmq().msg_close(&message);
      return {};
    }
    if (out.size() < kMaxFrames)
      out.emplace_back(static_cast<const char*>(libzmq().msg_data(&message)), libzmq().msg_size(&message));
    more = libzmq().msg_more(&message) != 0;
    libzmq().msg_close(&message);
  }
  return out;
}

constexpr size_t kNumber_bytes = 8;

uint64_t number_in(const std::string& frame) {
  uint64_t out = 0;
  for (const char byte : frame) out = out << 8 | static_cast<uint8_t>(byte);
  return out;
}

std::string frame_of(uint64_t number) {
  std::string out(kNumber_bytes, '\0');
  for (size_t i = kNumber_bytes; i-- > 0; number >>= 8) out[i] = static_cast<char>(number & 0xff);
  return out;
}

}  // namespace

struct Subscriber::State {
  State(Endpoints where, const base::Clock& clock)
      : endpoints(std::move(where)),
        feed(
            clock, index,
            endpoints.replay.empty() ? Feed::Replay()
                                     : [this](uint64_t first, const auto& take) { return replay(first, take); }),
        wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        context(libzmq().library.fault() ? libzmq().ctx_new() : nullptr) {}
  ~State() { close(wake); }

  Socket make(int type) {
    Socket socket(libzmq().socket(context.get(), type));
    set(socket, ZMQ_LINGER, 0);
    libzmq().setsockopt(socket.get(), ZMQ_MAXMSGSIZE, &kMaxMessage_bytes, sizeof kMaxMessage_bytes);
    return socket;
  }
  bool open() {
    if (const base::Status usable = libzmq().library.fault(); !usable) {
      base::log_error("KV events: {}: {}", endpoints.events, usable.error().message);
      return false;
    }
    events = make(ZMQ_SUB);
    set(events, ZMQ_RCVHWM, kQueue_batches);
    set(events, ZMQ_HEARTBEAT_IVL, kHeartbeat_ms);
    set(events, ZMQ_HEARTBEAT_TIMEOUT, kHeartbeatTimeout_ms);
    set(events, ZMQ_RECONNECT_IVL, kReconnect_ms);
    set(events, ZMQ_RECONNECT_IVL_MAX, kMaxReconnect_ms);
    libzmq().setsockopt(events.get(), ZMQ_SUBSCRIBE, "", 0);
    libzmq().socket_monitor(events.get(), kMonitor, kWatched_events);
    monitor = make(ZMQ_PAIR);
    libzmq().connect(monitor.get(), kMonitor);
    if (libzmq().connect(events.get(), endpoints.events.c_str()) == 0) return true;
    base::log_error("KV events: {}: {}", endpoints.events, libzmq().strerror(libzmq().error()));
    return false;
  }
  void run() {
    if (!open()) return;
    while (true) {
      std::array<zmq_pollitem_t, 3> items{
          {{monitor.get(), 0, ZMQ_POLLIN, 0}, {events.get(), 0, ZMQ_POLLIN, 0}, {nullptr, wake, ZMQ_POLLIN, 0}}};
      libzmq().poll(items.data(), static_cast<int>(items.size()), -1);
      if (items[2].revents != 0) return;
      // First what became of the connection: it tells whose the batches are.
      if (items[0].revents != 0) connection_changed();
      if (items[1].revents != 0) batch_came();
    }
  }
  void connection_changed() {
    const Frames frames = receive(monitor.get());
    if (frames.empty() || frames[0].size() < sizeof(uint16_t)) return;
    uint16_t event = 0;
    std::memcpy(&event, frames[0].data(), sizeof event);
    if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
      base::log_info("KV events: connected to {}", endpoints.events);
      feed.connected();
    } else if (feed.stats().connected) {
      base::log_warn("KV events: {} is gone; its cache is guessed until it is back", endpoints.events);
      feed.disconnected();
    }
  }
  void batch_came() {
    const Frames frames = receive(events.get());
    if (frames.size() == 3 && frames[1].size() == kNumber_bytes) feed.came(number_in(frames[1]), frames[2]);
  }
  bool replay(uint64_t first, const std::function<void(uint64_t, std::string_view)>& take) {
    const Socket socket = make(ZMQ_DEALER);
    set(socket, ZMQ_RCVHWM, 0);  // it ends by itself
    if (libzmq().connect(socket.get(), endpoints.replay.c_str()) != 0) return false;
    libzmq().send(socket.get(), "", 0, ZMQ_SNDMORE);
    libzmq().send(socket.get(), frame_of(first).data(), kNumber_bytes, 0);
    while (true) {
      std::array<zmq_pollitem_t, 2> items{{{socket.get(), 0, ZMQ_POLLIN, 0}, {nullptr, wake, ZMQ_POLLIN, 0}}};
      libzmq().poll(items.data(), static_cast<int>(items.size()), kReplay_ms);
      if (items[0].revents == 0 || items[1].revents != 0) return false;
      const Frames frames = receive(socket.get());
      if (frames.size() < 3 || frames.size() > 4) return false;  // with the topic, or without
      const std::string& number = frames[frames.size() - 2];
      if (number.size() != kNumber_bytes) return false;
      if (number_in(number) == UINT64_MAX) return true;
      take(number_in(number), frames.back());
    }
  }
  void stop() const {
    const uint64_t one = 1;
    (void)!write(wake, &one, sizeof one);
  }

  const Endpoints endpoints;
  BlockIndex index;
  Feed feed;
  const int wake;  // written when the thread is to end
  const Context context;
  Socket events, monitor;
  std::thread thread;
};

Subscriber::Subscriber(Endpoints endpoints, const base::Clock& clock)
    : state_(std::make_unique<State>(std::move(endpoints), clock)) {
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

Subscriber::~Subscriber() {
  state_->stop();
  state_->thread.join();
}

const BlockIndex& Subscriber::index() const { return state_->index; }
Feed::Stats Subscriber::stats() const { return state_->feed.stats(); }

}  // namespace payonce::kv_events
