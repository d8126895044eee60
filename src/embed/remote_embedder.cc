#include "embed/remote_embedder.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <utility>
#include <vector>

#include "embed/remote_answer.h"
#include "embed/waiting.h"
#include "net/client.h"
#include "net/event_loop.h"

namespace payonce::embed {
namespace {
namespace json = boost::json;

constexpr size_t kMaxRequestBytes = 1 << 20;  // texts of one request; a longer text goes alone
constexpr size_t kMaxAnswerBytes = 64 << 20;
constexpr std::string_view kPath = "/embeddings";
constexpr int kOk = 200;

}  // namespace

// All but embed() happens on the loop.
struct RemoteEmbedder::State {
  class Request;

  State(Options given, net::Origin the_origin, std::string the_target)
      : options(std::move(given)),
        origin(std::move(the_origin)),
        target(std::move(the_target)),
        identity(fmt::format("{}:{}:{}", options.url, options.model, options.dimensions)),
        waiting(options.queue_limit, options.metrics) {}

  void send_waiting();
  void send(std::vector<WaitingText> texts);
  void over(const std::shared_ptr<Request>& request);

  const Options options;
  const net::Origin origin;
  const std::string target;
  const std::string identity;
  Waiting waiting;
  std::vector<std::shared_ptr<Request>> requests;  // the loop's
  net::EventLoops loops{1};
  std::unique_ptr<net::Client> client;  // the loop's
};

// One request with its texts, until each of them is answered.
class RemoteEmbedder::State::Request final : public net::ResponseSink, public std::enable_shared_from_this<Request> {
 public:
  Request(State& state, std::vector<WaitingText> texts)
      : state_(state), texts_(std::move(texts)), since_(WaitingText::Clock::now()) {}

  void send() {
    net::RequestHead head{.method = "POST", .target = state_.target, .authority = {}, .headers = {}};
    head.headers.add("Content-Type", "application/json");
    head.headers.add("Accept", "application/json");
    if (!state_.options.key.empty()) head.headers.add("Authorization", "Bearer " + state_.options.key);
    json::array input;
    for (const WaitingText& each : texts_) input.emplace_back(each.text);
    const json::object body{
        {"model", state_.options.model}, {"input", std::move(input)}, {"encoding_format", "float"}};
    const net::CallTimeouts timeouts{.connect_ms = state_.options.timeout_ms,
                                     .first_byte_ms = state_.options.timeout_ms,
                                     .idle_ms = state_.options.timeout_ms};
    call_ = state_.client->send(state_.origin, std::move(head), base::Bytes(json::serialize(body)), timeouts,
                                shared_from_this());
  }

  void on_head(net::ResponseHead head) override { status_ = head.status; }
  void on_data(base::Bytes chunk) override {
    body_ += chunk.view();
    if (body_.size() <= kMaxAnswerBytes) return;
    const auto call = call_;
    call->cancel();
    end(base::fail(base::Code::kCorrupt,
                   fmt::format("the embedder's answer is longer than {} bytes", kMaxAnswerBytes)));
  }
  void on_error(base::Error error, bool /*sent*/) override {
    end(base::fail(error.code, fmt::format("the embedder at {}: {}", state_.options.url, error.message)));
  }
  void on_end() override {
    if (status_ != kOk) return end(base::fail(error_of_answer(status_, body_)));
    std::vector<std::string_view> texts;
    for (const WaitingText& each : texts_) texts.push_back(each.text);
    end(read_embeddings_answer(body_, texts, state_.options.dimensions));
  }

  void abandon() {
    for (WaitingText& each : texts_) {
      state_.waiting.answer(each, base::fail(base::Code::kUnavailable, "the embedder is ending"));
    }
  }

 private:
  void end(base::Result<std::vector<Embedding>> result) {
    const auto self = shared_from_this();
    call_ = nullptr;
    state_.waiting.computed(since_);
    state_.over(self);
    // One text that the other side does not take must not cost the others their answer.
    if (!result && result.error().code == base::Code::kInvalid && texts_.size() > 1) {
      for (WaitingText& each : texts_) {
        std::vector<WaitingText> alone;
        alone.push_back(std::move(each));
        state_.send(std::move(alone));
      }
      return;
    }
    for (size_t i = 0; i < texts_.size(); ++i) {
      if (result) state_.waiting.answer(texts_[i], std::move((*result)[i]));
      if (!result) state_.waiting.answer(texts_[i], base::fail(result.error()));
    }
    state_.send_waiting();
  }

  State& state_;
  std::vector<WaitingText> texts_;
  const WaitingText::Clock::time_point since_;
  std::shared_ptr<net::Call> call_;
  int status_ = 0;
  std::string body_;
};

void RemoteEmbedder::State::send_waiting() {
  while (requests.size() < options.calls) {
    size_t bytes = 0;
    std::vector<WaitingText> texts = waiting.take_now(options.batch_limit, [&](const WaitingText& next) {
      bytes += next.text.size();
      return bytes <= kMaxRequestBytes;
    });
    if (texts.empty()) return;
    send(std::move(texts));
  }
}

void RemoteEmbedder::State::send(std::vector<WaitingText> texts) {
  requests.push_back(std::make_shared<Request>(*this, std::move(texts)));
  requests.back()->send();
}

void RemoteEmbedder::State::over(const std::shared_ptr<Request>& request) { std::erase(requests, request); }

base::Result<std::unique_ptr<RemoteEmbedder>> RemoteEmbedder::make(Options options) {
  std::string target;
  PAYONCE_TRY(net::Origin origin, net::Origin::parse(options.url, &target));
  if (!target.ends_with(kPath)) target += kPath;
  if (options.model.empty()) {
    return base::fail(base::Code::kInvalid,
                      "an embedder behind a URL needs the model's name (semantic.embedder_model)");
  }
  if (options.dimensions < 1) {
    return base::fail(base::Code::kInvalid,
                      "an embedder behind a URL needs the number of dimensions (semantic.embedder_dimensions)");
  }
  auto state = std::make_unique<State>(std::move(options), std::move(origin), std::move(target));
  state->client = std::make_unique<net::Client>(state->loops[0], net::Client::Options{.tls = state->options.tls});
  state->loops.start();
  return std::unique_ptr<RemoteEmbedder>(new RemoteEmbedder(std::move(state)));
}

RemoteEmbedder::RemoteEmbedder(std::unique_ptr<State> state) : state_(std::move(state)) {}

RemoteEmbedder::~RemoteEmbedder() {
  state_->waiting.close();
  state_->loops.stop();
  // The loop has ended: what was on its way gets no other answer.
  state_->client.reset();
  for (const auto& request : std::exchange(state_->requests, {})) request->abandon();
}

base::Status RemoteEmbedder::embed(std::string text, Done done) {
  PAYONCE_CHECK_OK(state_->waiting.add(std::move(text), std::move(done)));
  state_->loops[0].post([state = state_.get()] { state->send_waiting(); });
  return {};
}

int32_t RemoteEmbedder::dimensions() const { return state_->options.dimensions; }
const std::string& RemoteEmbedder::model() const { return state_->options.model; }
const std::string& RemoteEmbedder::identity() const { return state_->identity; }

}  // namespace payonce::embed
