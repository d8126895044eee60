#include "agent/api/socket_server.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "agent/api/answers.h"
#include "agent/api/frame.h"
#include "base/env.h"
#include "base/log.h"
#include "llm/json_view.h"

namespace payonce::agent {

namespace {
constexpr std::chrono::milliseconds kPause{100};
}  // namespace

using Protocol = boost::asio::local::stream_protocol;

struct SocketServer::State {
  State(AgentApi& a, net::EventLoops& l) : api(a), loops(l), acceptor(l[0].context()), pause(l[0].context()) {}
  AgentApi& api;
  net::EventLoops& loops;
  Protocol::acceptor acceptor;
  boost::asio::steady_timer pause;
  const std::shared_ptr<std::atomic<size_t>> connections = std::make_shared<std::atomic<size_t>>(0);
  size_t next_loop = 0;  // loop 0's alone
};

// One peer. Lives as long as a read, a call or a write of it is on the way: perhaps longer than the State, whose
// acceptor belongs to another loop. Its loop only.
class SocketServer::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(const State& state, Protocol::socket socket, net::EventLoop& loop)
      : api_(state.api), count_(state.connections), socket_(std::move(socket)), loop_(loop) {
    count_->fetch_add(1);
  }
  ~Connection() { count_->fetch_sub(1); }

  void read() {
    socket_.async_read_some(boost::asio::buffer(chunk_),
                            [self = shared_from_this()](const boost::system::error_code& error, size_t size) {
                              if (error) return;  // the peer left
                              self->frames_.add({self->chunk_.data(), size});
                              self->next();
                            });
  }

 private:
  void next() {
    auto frame = frames_.next();
    if (!frame) return refuse(frame.error());
    if (!*frame) return read();
    Frame call = **std::move(frame);
    if (call.verb == kCredentialVerb) return take_credential(call.body);
    const char verb = call.verb;
    for (const Verb known :
         {Verb::kLookup, Verb::kCommit, Verb::kAbort, Verb::kInvalidate, Verb::kHint, Verb::kFeedback, Verb::kStats})
      if (static_cast<char>(known) == verb)
        return api_.call(known, base::Bytes(std::move(call.body)), peer_, loop_,
                         [self = shared_from_this(), verb](Reply reply) { self->answer(verb, reply); });
    refuse({base::Code::kInvalid, "no such verb; known: L, C, A, I, H, F, S, K"});
  }

  void take_credential(std::string_view body) {
    const auto view = llm::JsonView::parse(body);
    net::Headers headers;
    const std::string credential = view ? view->string(view->member(0, "credential")) : "";
    if (credential.empty() || !headers.try_add("Authorization", "Bearer " + credential))
      return refuse({base::Code::kInvalid, "expected {\"credential\":\"…\"}"});
    peer_.headers = std::move(headers);
    write(frame_bytes(kCredentialVerb, R"({"status":"ok"})"), true);
  }

  void answer(char verb, const Reply& reply) {
    if (reply.status == 200) return write(frame_bytes(verb, reply.body), true);
    // The status goes into the error object: {"error":{…,"status":404}}.
    std::string body = reply.body;
    if (body.ends_with("}}")) body.insert(body.size() - 2, fmt::format(",\"status\":{}", reply.status));
    write(frame_bytes(kErrorVerb, body), true);
  }

  void refuse(const base::Error& error) { write(frame_bytes(kErrorVerb, error_json(error)), false); }

  void write(std::string bytes, bool go_on) {
    out_ = std::move(bytes);
    boost::asio::async_write(socket_, boost::asio::buffer(out_),
                             [self = shared_from_this(), go_on](const boost::system::error_code& error, size_t) {
                               if (!error && go_on) self->next();
                             });
  }

  AgentApi& api_;
  const std::shared_ptr<std::atomic<size_t>> count_;
  Protocol::socket socket_;
  net::EventLoop& loop_;
  Peer peer_{.headers = {}, .on_this_machine = true};
  FrameReader frames_;
  std::array<char, 64 * 1024> chunk_;
  std::string out_;
};

SocketServer::SocketServer(std::string path, AgentApi& api, net::EventLoops& loops)
    : path_(std::move(path)), state_(std::make_shared<State>(api, loops)) {}

SocketServer::~SocketServer() {
  boost::system::error_code ignored;
  if (!state_->acceptor.is_open()) return;
  state_->acceptor.close(ignored);
  ::unlink(path_.c_str());
}

// Connections go to the loops in turn.
void SocketServer::accept(const std::shared_ptr<State>& state) {
  net::EventLoop& loop = state->loops[state->next_loop++ % state->loops.size()];
  state->acceptor.async_accept(
      loop.context(), [state, &loop](const boost::system::error_code& error, Protocol::socket socket) {
        if (!state->acceptor.is_open()) return;
        if (!error && *state->connections < kMaxConnections) {
          const auto connection = std::make_shared<Connection>(*state, std::move(socket), loop);
          loop.post([connection] { connection->read(); });
        }
        if (!error) return accept(state);
        // Out of descriptors, perhaps: not at once again.
        state->pause.expires_after(kPause);
        state->pause.async_wait([state](const boost::system::error_code& stopped) {
          if (!stopped) accept(state);
        });
      });
}

base::Status SocketServer::start() {
  const auto failed = [this](std::string_view what, const std::string& why) {
    return base::fail(base::Code::kUnavailable, fmt::format("agent socket {}: {}: {}", path_, what, why));
  };
  if (path_.size() >= sizeof(sockaddr_un::sun_path))
    return failed("the path is too long", "name a shorter one with --agent-socket");
  const std::filesystem::path directory = std::filesystem::path(path_).parent_path();
  if (const auto made = base::PosixEnv().make_directories(directory.string()); !made)
    return failed("directory", made.error().message);
  struct stat stat{};
  if (::stat(directory.c_str(), &stat) != 0 || (stat.st_uid != ::getuid() && stat.st_uid != 0))
    return failed("directory", "it belongs to another user");
  boost::system::error_code code;
  Protocol::socket probe(state_->loops[0].context());
  probe.connect(Protocol::endpoint(path_), code);
  if (!code) return failed("in use", "another instance listens there");
  ::unlink(path_.c_str());
  code.clear();
  state_->acceptor.open(Protocol(), code);
  const mode_t before = ::umask(0177);
  if (!code) state_->acceptor.bind(Protocol::endpoint(path_), code);
  ::umask(before);
  if (!code) state_->acceptor.listen(boost::asio::socket_base::max_listen_connections, code);
  if (code) return failed("cannot listen", code.message());
  accept(state_);
  return {};
}

std::string default_socket_path(uint16_t port) {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && *runtime != '\0') return fmt::format("{}/payonce/{}.sock", runtime, port);
  return fmt::format("/tmp/payonce-{}/{}.sock", ::getuid(), port);
}

}  // namespace payonce::agent
