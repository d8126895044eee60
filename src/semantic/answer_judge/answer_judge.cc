#include "semantic/answer_judge/answer_judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <boost/json.hpp>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/utf8.h"
#include "net/client.h"
#include "net/event_loop.h"

namespace payonce::semantic {
namespace {
namespace json = boost::json;

constexpr std::string_view kPath = "/chat/completions";
constexpr size_t kMaxAnswerBytes = 1 << 20;
constexpr size_t kMaxTextBytes = 8000;  // of each answer: the judge sees its beginning
constexpr int kOk = 200;
constexpr std::string_view kTask =
    "You compare two answers that were given to one question. Reply with one word. SAME: whoever asked is served "
    "equally well by either, whatever their wording, order or length. DIFFERENT: a fact, number, name, instruction "
    "or conclusion differs, or one of them does not answer the question.";

}  // namespace

std::string judge_request(std::string_view model, std::string_view question, std::string_view one,
                          std::string_view other) {
  const std::string asked = fmt::format("Question:\n{}\n\nFirst answer:\n{}\n\nSecond answer:\n{}",
                                        base::beginning(question, kMaxTextBytes), base::beginning(one, kMaxTextBytes),
                                        base::beginning(other, kMaxTextBytes));
  return json::serialize(json::object{{"model", model},
                                      {"temperature", 0},
                                      {"max_tokens", 4},
                                      {"messages", json::array{json::object{{"role", "system"}, {"content", kTask}},
                                                               json::object{{"role", "user"}, {"content", asked}}}}});
}

std::optional<bool> judge_verdict(std::string_view body) {
  boost::system::error_code error;
  const json::value answer = json::parse(body, error);
  if (error) return std::nullopt;
  const json::value* text = answer.find_pointer("/choices/0/message/content", error);
  if (error || text == nullptr || !text->is_string()) return std::nullopt;
  std::string word(text->get_string());
  std::transform(word.begin(), word.end(), word.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? char(c - 32) : c; });
  const bool same = word.find("SAME") != std::string::npos, different = word.find("DIFF") != std::string::npos;
  return same == different ? std::nullopt : std::optional<bool>(same);
}

struct AnswerJudge::State {
  class Call;
  State(Options o, net::Origin to, std::string path) : options(std::move(o)), origin(std::move(to)), target(path) {}

  const Options options;
  const net::Origin origin;
  const std::string target;
  std::atomic<size_t> asked{0};
  net::EventLoops loops{1};
  std::unique_ptr<net::Client> client;  // the loop's
};

// One question on its way; kept by the client until it ends.
class AnswerJudge::State::Call final : public net::ResponseSink, public std::enable_shared_from_this<Call> {
 public:
  Call(State& state, std::string body, Done done) : state_(state), body_(std::move(body)), done_(std::move(done)) {}
  ~Call() override { --state_.asked; }

  void send() {
    net::RequestHead head{.method = "POST", .target = state_.target, .authority = {}, .headers = {}};
    head.headers.add("Content-Type", "application/json");
    if (!state_.options.key.empty()) head.headers.add("Authorization", "Bearer " + state_.options.key);
    const net::CallTimeouts timeouts{.connect_ms = state_.options.timeout_ms,
                                     .first_byte_ms = state_.options.timeout_ms,
                                     .idle_ms = state_.options.timeout_ms};
    call_ = state_.client->send(state_.origin, std::move(head), base::Bytes(std::move(body_)), timeouts,
                                shared_from_this());
  }
  void on_head(net::ResponseHead head) override { status_ = head.status; }
  void on_data(base::Bytes chunk) override {
    if (answer_.size() + chunk.size() <= kMaxAnswerBytes) answer_ += chunk.view();
  }
  void on_end() override {
    const auto verdict = status_ == kOk ? judge_verdict(answer_) : std::nullopt;
    if (!verdict) base::log_warn("semantic.judge: status {}, no verdict in '{}'", status_, answer_.substr(0, 200));
    end(verdict);
  }
  void on_error(base::Error error, bool /*sent*/) override {
    base::log_warn("semantic.judge: {}", error.message);
    end(std::nullopt);
  }

 private:
  void end(std::optional<bool> verdict) {
    call_ = nullptr;
    done_(verdict);
  }
  State& state_;
  std::string body_;
  const Done done_;
  std::shared_ptr<net::Call> call_;
  int status_ = 0;
  std::string answer_;
};

base::Result<std::unique_ptr<AnswerJudge>> AnswerJudge::make(Options options) {
  if (options.url.empty() || options.model.empty())
    return base::fail(base::Code::kInvalid,
                      "semantic.compare = \"judge\" needs semantic.judge, a URL, and semantic.judge_model");
  std::string target;
  PAYONCE_TRY(net::Origin origin, net::Origin::parse(options.url, &target));
  if (!target.ends_with(kPath)) target += kPath;
  auto state = std::make_unique<State>(std::move(options), std::move(origin), std::move(target));
  state->client = std::make_unique<net::Client>(state->loops[0], net::Client::Options{});
  state->loops.start();
  return std::unique_ptr<AnswerJudge>(new AnswerJudge(std::move(state)));
}

AnswerJudge::AnswerJudge(std::unique_ptr<State> state) : state_(std::move(state)) {}

AnswerJudge::~AnswerJudge() {
  state_->loops.stop();
  state_->client.reset();  // and with it what is on its way, without an answer
}

bool AnswerJudge::ask(std::string_view question, std::string_view one, std::string_view other, Done done) {
  State& state = *state_;
  if (++state.asked > state.options.calls) {
    --state.asked;
    return false;
  }
  const auto call =
      std::make_shared<State::Call>(state, judge_request(state.options.model, question, one, other), std::move(done));
  state.loops[0].post([call] { call->send(); });
  return true;
}

}  // namespace payonce::semantic
