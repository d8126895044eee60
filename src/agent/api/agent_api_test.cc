#include "agent/api/agent_api.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <future>
#include <thread>

#include "agent/agent_cache_fixture.h"
#include "agent/api/frame.h"
#include "agent/api/socket_server.h"

namespace payonce::agent {
namespace {

namespace json = boost::json;

struct ApiFixture : CacheFixture {
  ApiFixture() { loops.start(); }
  ~ApiFixture() {
    loops.stop();
    servers.clear();
    waited.drain();
  }
  Reply call(Verb verb, const std::string& body, const std::string& credential = "sk-a", bool here = true) {
    return start(verb, body, credential, here).get();
  }
  std::future<Reply> start(Verb verb, const std::string& body, const std::string& credential = "sk-a",
                           bool here = true) {
    auto promise = std::make_shared<std::promise<Reply>>();
    Peer peer{.headers = {}, .on_this_machine = here};
    peer.headers.add("Authorization", "Bearer " + credential);
    loops[0].post([this, verb, body, peer, promise] {
      api.call(verb, base::Bytes(body), peer, loops[0],
               [promise](Reply reply) { promise->set_value(std::move(reply)); });
    });
    return promise->get_future();
  }
  static std::string text(const Reply& reply, std::string_view name) {
    const json::value value = json::parse(reply.body);
    const json::value* found = value.as_object().if_contains(name);
    return found == nullptr ? "" : found->is_string() ? std::string(found->as_string()) : json::serialize(*found);
  }

  net::EventLoops loops{2};
  identity::Callers callers{{.salt = "salt", .keys = {}}};
  base::SystemClock real_clock;
  base::WorkerPool waited{{.threads = 2, .waited_for = true}};
  AgentApi api{
      {.cache = *cache, .clock = real_clock, .pool = waited, .identify = [this](const net::Headers& headers) {
         return callers.identify(headers);
       }}};
  std::vector<std::unique_ptr<SocketServer>> servers;
};

constexpr const char* kTask = R"({"kind":"plan","parts":{"task":"a"}})";

TEST(Api, LooksUpAndCommits) {
  ApiFixture f;
  const Reply miss = f.call(Verb::kLookup, kTask);
  EXPECT_EQ(miss.status, 200);
  EXPECT_EQ(f.text(miss, "status"), "miss");
  EXPECT_EQ(f.text(miss, "expires_in"), "900");
  const std::string ticket = f.text(miss, "ticket");
  const Reply stored =
      f.call(Verb::kCommit, R"({"ticket":")" + ticket + R"(","outcome":"success","value":{"x":[1,2]}})");
  EXPECT_EQ(f.text(stored, "status"), "stored");
  const Reply hit = f.call(Verb::kLookup, kTask);
  EXPECT_EQ(f.text(hit, "status"), "hit");
  EXPECT_EQ(f.text(hit, "value"), R"({"x":[1,2]})");
  EXPECT_EQ(f.text(hit, "entry"), f.text(stored, "entry"));
  EXPECT_EQ(f.text(f.call(Verb::kLookup, kTask, "sk-b"), "status"), "miss");
  EXPECT_EQ(f.text(f.call(Verb::kLookup, R"({"kind":"plan","parts":{"task":"a"},"scope":"user:x"})"), "reason"),
            "scope");
}

TEST(Api, OnlySuccessIsStored) {
  ApiFixture f;
  for (const char* outcome : {"failure", "cancelled", "whatever"}) {
    const std::string ticket = f.text(f.call(Verb::kLookup, kTask), "ticket");
    const Reply reply = f.call(
        Verb::kCommit, R"({"ticket":")" + ticket + R"(","value":1,"outcome":")" + std::string(outcome) + "\"}");
    EXPECT_EQ(f.text(reply, "status"), "dropped");
    EXPECT_EQ(f.text(reply, "reason"), "outcome");
    EXPECT_EQ(f.call(Verb::kAbort, R"({"ticket":")" + ticket + "\"}").status, 404);
  }
  EXPECT_EQ(f.text(f.call(Verb::kLookup, kTask), "status"), "miss");
}

TEST(Api, FilesOfAnotherMachineAreRefused) {
  ApiFixture f;
  const char* body = R"({"kind":"plan","parts":{"task":"a"},"deps":[{"type":"file","path":"/etc/hostname"}]})";
  EXPECT_EQ(f.call(Verb::kLookup, body, "sk-a", true).status, 200);
  const Reply far = f.call(Verb::kLookup, body, "sk-a", false);
  EXPECT_EQ(far.status, 400);
  EXPECT_NE(far.body.find("another one"), std::string::npos);
}

TEST(Api, OneComputesAndTheOthersWait) {
  ApiFixture f;
  const std::string ticket = f.text(f.call(Verb::kLookup, kTask), "ticket");
  std::vector<std::future<Reply>> waiting;
  for (int i = 0; i < 20; ++i)
    waiting.push_back(f.start(Verb::kLookup, R"({"kind":"plan","parts":{"task":"a"},"wait":30})"));
  const Reply hasty = f.call(Verb::kLookup, kTask);
  EXPECT_EQ(f.text(hasty, "in_flight"), "true");
  (void)f.call(Verb::kCommit, R"({"ticket":")" + ticket + R"(","outcome":"success","value":1})");
  for (auto& one : waiting) EXPECT_EQ(f.text(one.get(), "status"), "hit");
}

TEST(Api, WhoWaitsInVainGetsATicket) {
  ApiFixture f;
  const std::string ticket = f.text(f.call(Verb::kLookup, kTask), "ticket");
  const Reply late = f.call(Verb::kLookup, R"({"kind":"plan","parts":{"task":"a"},"wait":0.05})");
  EXPECT_EQ(f.text(late, "status"), "miss");
  EXPECT_FALSE(f.text(late, "ticket").empty());
  // Its computer gives up: one of those who wait is next, and the other waits for that one.
  auto first = f.start(Verb::kLookup, R"({"kind":"plan","parts":{"task":"b"},"wait":30})");
  const std::string leader = f.text(first.get(), "ticket");
  auto second = f.start(Verb::kLookup, R"({"kind":"plan","parts":{"task":"b"},"wait":30})");
  (void)f.call(Verb::kAbort, R"({"ticket":")" + leader + "\"}");
  EXPECT_EQ(f.text(second.get(), "status"), "miss");
}

// ---- the socket -------------------------------------------------------------------------------------

class Client {
 public:
  explicit Client(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    const timeval limit{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  ~Client() { ::close(fd_); }
  bool connected() const { return connected_; }
  void send(std::string_view bytes) {
    EXPECT_EQ(::send(fd_, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  }
  // "" when the server closed.
  Frame receive() {
    while (true) {
      auto frame = reader_.next();
      if (frame && *frame) return **std::move(frame);
      char chunk[4096];
      const ssize_t got = ::recv(fd_, chunk, sizeof chunk, 0);
      if (got <= 0) return {};
      reader_.add({chunk, static_cast<size_t>(got)});
    }
  }

 private:
  const int fd_;
  bool connected_ = false;
  FrameReader reader_;
};

struct SocketFixture : ApiFixture {
  SocketFixture() {
    const auto started = listen(path);
    EXPECT_TRUE(started) << started.error().message;
  }
  base::Status listen(const std::string& where) {
    servers.push_back(std::make_unique<SocketServer>(where, api, loops));
    return servers.back()->start();
  }
  const std::string path = directory.path() + "/run/a.sock";
};

TEST(Socket, SpeaksFramesInOrder) {
  SocketFixture f;
  struct stat stat{};
  ASSERT_EQ(::stat(f.path.c_str(), &stat), 0);
  EXPECT_EQ(stat.st_mode & 0777, 0600u);
  Client client(f.path);
  ASSERT_TRUE(client.connected());
  client.send(frame_bytes('K', R"({"credential":"sk-a"})") + frame_bytes('L', kTask) + frame_bytes('S', "{}"));
  EXPECT_EQ(client.receive().verb, 'K');
  const Frame miss = client.receive();
  EXPECT_EQ(miss.verb, 'L');
  EXPECT_EQ(client.receive().verb, 'S');
  const std::string ticket = f.text({.body = miss.body}, "ticket");
  const std::string commit =
      frame_bytes('C', R"({"ticket":")" + ticket + R"(","outcome":"success","value":1})") + frame_bytes('L', kTask);
  for (const char byte : commit) client.send({&byte, 1});  // however it is cut
  EXPECT_EQ(f.text({.body = client.receive().body}, "status"), "stored");
  EXPECT_EQ(f.text({.body = client.receive().body}, "status"), "hit");
  Client other(f.path);
  other.send(frame_bytes('L', kTask));
  EXPECT_EQ(f.text({.body = other.receive().body}, "status"), "miss");  // no credential: a scope of its own
  other.send(frame_bytes('C', R"({"ticket":"t-1","outcome":"success","value":1})"));
  const Frame error = other.receive();
  EXPECT_EQ(error.verb, 'X');
  EXPECT_NE(error.body.find("\"status\":404"), std::string::npos) << error.body;
}

TEST(Socket, RefusesWhatIsNoFrame) {
  SocketFixture f;
  for (const std::string& bytes :
       {std::string("L\xff\xff\xff\xff"), frame_bytes('?', "{}"), frame_bytes('K', "{}")}) {
    Client client(f.path);
    client.send(bytes);
    EXPECT_EQ(client.receive().verb, 'X');
    EXPECT_EQ(client.receive().verb, '\0');  // closed
  }
  Client fine(f.path);
  fine.send(frame_bytes('S', "{}"));
  EXPECT_EQ(fine.receive().verb, 'S');
}

TEST(Socket, TakesOverAFileThatNobodyListensOnAndNoOther) {
  SocketFixture f;
  EXPECT_FALSE(f.listen(f.path));
  EXPECT_TRUE(Client(f.path).connected());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string left = f.directory.path() + "/left.sock";
  left.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::close(fd);  // as a crash leaves it
  EXPECT_TRUE(f.listen(left));
  EXPECT_TRUE(Client(left).connected());
}

RC_GTEST_PROP(Frames, AreWholeHoweverTheyAreCut, (const std::vector<std::string>& bodies)) {
  std::string all;
  for (const std::string& body : bodies) all += frame_bytes('L', body);
  FrameReader reader;
  std::vector<std::string> back;
  for (size_t at = 0; at < all.size();) {
    const size_t size = std::min(all.size() - at, *rc::gen::inRange<size_t>(1, 9));
    reader.add(std::string_view(all).substr(at, size));
    at += size;
    while (true) {
      auto frame = reader.next();
      RC_ASSERT(frame.has_value());
      if (!*frame) break;
      back.push_back((*frame)->body);
    }
  }
  RC_ASSERT(back == bodies);
}

}  // namespace
}  // namespace payonce::agent
