#include "upstream/llama_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "upstream/child_process.h"

namespace payonce::upstream {
namespace {

using testing::HasSubstr;

// Looks again and again; the supervisor has no other way to tell.
bool comes_true(const std::function<bool()>& condition, int limit_s = 20) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(limit_s);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

// Answers each connection at a port with the next of `answers`, then with the last one, until it goes.
class HealthPage {
 public:
  HealthPage(const std::string& base_url, std::vector<std::string> answers) : answers_(std::move(answers)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(std::stoi(base_url.substr(base_url.rfind(':') + 1))));
    socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(socket_, 8), 0);
    thread_ = std::thread([this] { serve(); });
  }
  ~HealthPage() {
    shutdown(socket_, SHUT_RDWR);
    thread_.join();
    close(socket_);
  }
  HealthPage(const HealthPage&) = delete;
  HealthPage& operator=(const HealthPage&) = delete;
  int answered() const { return answered_.load(); }

 private:
  void serve() {
    for (size_t at = 0;; at = std::min(at + 1, answers_.size() - 1)) {
      const int connection = accept(socket_, nullptr, nullptr);
      if (connection < 0) return;
      char request[512];
      EXPECT_GT(recv(connection, request, sizeof request, 0), 0);
      EXPECT_EQ(std::string_view(request, 12), "GET /health ");
      const std::string answer = "HTTP/1.1 " + answers_[at] + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
      send(connection, answer.data(), answer.size(), MSG_NOSIGNAL);
      close(connection);
      ++answered_;
    }
  }

  const std::vector<std::string> answers_;
  int socket_ = -1;
  std::atomic<int> answered_{0};
  std::thread thread_;
};

class LlamaServerTest : public testing::Test {
 protected:
  LlamaServerTest() {
    std::string pattern = testing::TempDir() + "payonce-llama-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    std::ofstream(directory_ + "/tiny.gguf") << "12345";
  }
  ~LlamaServerTest() override { std::filesystem::remove_all(directory_); }

  // A shell script in the place of the binary: the supervisor knows only what it does as a process.
  LlamaServer::Options with_script(const std::string& script) {
    const std::string path = directory_ + "/llama-server";
    std::ofstream(path) << "#!/bin/sh\n" << script << "\n";
    chmod(path.c_str(), 0700);
    return {.binary = path,
            .model_file = directory_ + "/tiny.gguf",
            .log_file = directory_ + "/log",
            .first_restart_pause_ms = 1};
  }
  std::string log() const {
    std::ostringstream out;
    out << std::ifstream(directory_ + "/log").rdbuf();
    return out.str();
  }
  // The process that the script told of, once it did.
  pid_t process_in_log() const {
    EXPECT_TRUE(comes_true([&] { return log().ends_with('\n'); }));
    return static_cast<pid_t>(std::stoi(log()));
  }

  std::string directory_;
};

constexpr const char* kRunUntilTold = "echo $$; exec sleep 1000";

TEST_F(LlamaServerTest, AMissingBinaryOrModelSaysWhatToDo) {
  LlamaServer::Options options = with_script("true");
  options.binary = directory_ + "/nothing";
  EXPECT_THAT(LlamaServer(options).start().error().message, HasSubstr("run ./dev run, or pass --llama-server FILE"));
  options = with_script("true");
  options.model_file = directory_ + "/nothing.gguf";
  EXPECT_THAT(LlamaServer(options).start().error().message, HasSubstr("run ./dev run, or pass --model FILE"));
}

TEST_F(LlamaServerTest, TheIdentityIsNameAndSizeOfTheModel) {
  EXPECT_EQ(*LlamaServer::identity(directory_ + "/tiny.gguf"), "local:tiny.gguf:5");
  EXPECT_EQ(LlamaServer::identity(directory_ + "/nothing.gguf").error().code, base::Code::kNotFound);
}

TEST_F(LlamaServerTest, TheProcessListensOnLoopbackWithTheModel) {
  LlamaServer::Options options = with_script("echo \"$@\"; exec sleep 1000");
  options.threads = 3;
  LlamaServer server(options);
  ASSERT_TRUE(server.start());
  ASSERT_TRUE(comes_true([&] { return log().ends_with('\n'); }));
  const std::string port = server.base_url().substr(sizeof "http://127.0.0.1:" - 1);
  EXPECT_EQ(log(), "-m " + options.model_file + " --host 127.0.0.1 --port " + port.substr(0, port.find('/')) +
                       " -c 8192 -np 2 --no-webui -t 3\n");
}

TEST_F(LlamaServerTest, IsReadyOnceTheHealthPageSaysSo) {
  LlamaServer server(with_script(kRunUntilTold));
  ASSERT_TRUE(server.start());
  EXPECT_FALSE(server.ready());
  const HealthPage page(server.base_url(), {"503 Loading", "503 Loading", "200 OK"});
  EXPECT_TRUE(comes_true([&] { return server.ready(); }));
  EXPECT_EQ(page.answered(), 3);
  server.stop();
  EXPECT_FALSE(server.ready());
}

TEST_F(LlamaServerTest, AProcessThatEndsIsStartedAgainAtTheSamePort) {
  LlamaServer server(with_script("echo \"$6\"; exit 3"));
  ASSERT_TRUE(server.start());
  EXPECT_TRUE(comes_true([&] { return server.restarts() >= 2; }));
  server.stop();
  const std::string port = log().substr(0, log().find('\n') + 1);
  EXPECT_THAT(server.base_url() + "\n", HasSubstr(":" + port.substr(0, port.size() - 1) + "/v1"));
  EXPECT_EQ(log().substr(0, 2 * port.size()), port + port);
}

TEST_F(LlamaServerTest, IsNoLongerReadyWhenTheProcessDies) {
  LlamaServer::Options options = with_script(kRunUntilTold);
  options.first_restart_pause_ms = 60'000;
  LlamaServer server(options);
  ASSERT_TRUE(server.start());
  const HealthPage page(server.base_url(), {"200 OK"});
  ASSERT_TRUE(comes_true([&] { return server.ready(); }));
  kill(process_in_log(), SIGKILL);
  EXPECT_TRUE(comes_true([&] { return !server.ready(); }));
}

TEST_F(LlamaServerTest, StoppingEndsTheProcess) {
  LlamaServer server(with_script(kRunUntilTold));
  ASSERT_TRUE(server.start());
  const pid_t process = process_in_log();
  EXPECT_EQ(kill(process, 0), 0);
  server.stop();
  EXPECT_EQ(kill(process, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST_F(LlamaServerTest, AProcessThatIgnoresSigtermIsKilled) {
  LlamaServer::Options options = with_script("trap '' TERM; echo $$; exec sleep 1000");
  options.stop_timeout_ms = 100;
  LlamaServer server(options);
  ASSERT_TRUE(server.start());
  const pid_t process = process_in_log();
  server.stop();
  EXPECT_EQ(kill(process, 0), -1);
}

TEST_F(LlamaServerTest, TheProcessInheritsNoneOfOurDescriptors) {
  constexpr int kOurs = 777;
  ASSERT_EQ(dup2(STDERR_FILENO, kOurs), kOurs);
  LlamaServer server(with_script("test -e /proc/$$/fd/777 && echo inherited || echo clean; exec sleep 1000"));
  ASSERT_TRUE(server.start());
  EXPECT_TRUE(comes_true([&] { return log().ends_with('\n'); }));
  EXPECT_EQ(log(), "clean\n");
  close(kOurs);
}

TEST_F(LlamaServerTest, TheProcessDiesWithUs) {
  // It becomes our child when its parent is gone, so its end can be waited for.
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  const LlamaServer::Options options = with_script(kRunUntilTold);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t owner = fork();
  if (owner == 0) {
    const auto process = start_child({options.binary}, options.log_file);
    const pid_t told = process ? *process : -1;
    _exit(write(ends[1], &told, sizeof told) == sizeof told ? 0 : 1);
  }
  pid_t process = -1;
  ASSERT_EQ(read(ends[0], &process, sizeof process), static_cast<ssize_t>(sizeof process));
  ASSERT_GT(process, 0);
  waitpid(owner, nullptr, 0);
  int status = 0;
  ASSERT_EQ(waitpid(process, &status, 0), process);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGTERM);
  prctl(PR_SET_CHILD_SUBREAPER, 0);
  close(ends[0]);
  close(ends[1]);
}

TEST_F(LlamaServerTest, WhatCannotBeExecutedIsAnError) {
  const LlamaServer::Options options = with_script("true");
  const auto started = start_child({options.model_file}, options.log_file);
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().message, HasSubstr("tiny.gguf: Permission denied"));
  EXPECT_THAT(start_child({options.binary}, "/nonexistent/log").error().message, HasSubstr("/nonexistent/log"));
}

TEST_F(LlamaServerTest, TheRealServerBecomesReady) {
  const char* binary = std::getenv("PAYONCE_LLAMA_SERVER");
  const char* model = std::getenv("PAYONCE_MODEL");
  if (binary == nullptr || model == nullptr) GTEST_SKIP() << "needs PAYONCE_LLAMA_SERVER and PAYONCE_MODEL";
  LlamaServer server({.binary = binary, .model_file = model, .log_file = directory_ + "/log", .context_tokens = 512});
  ASSERT_TRUE(server.start());
  EXPECT_TRUE(comes_true([&] { return server.ready(); }, 120)) << log();
  const std::string url = server.base_url();
  const auto port = static_cast<uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
  EXPECT_EQ(http_get_status(port, "/v1/models", 5'000), 200);
  EXPECT_EQ(server.restarts(), 0);
}

}  // namespace
}  // namespace payonce::upstream
