#include "embed/api/embeddings_api.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <deque>
#include <iterator>
#include <mutex>
#include <optional>
#include <utility>

#include "embed/api/embeddings_request.h"
#include "embed/base64.h"
#include "embed/vector.h"
#include "engine/api/errors.h"

namespace payonce::embed {
namespace {
namespace json = boost::json;

constexpr llm::Dialect kDialect = llm::Dialect::kOpenAiEmbeddings;
constexpr size_t kTextsAtOnce = 32;  // of one request in the embedder's queue

// {"object":"embedding","index":0,"embedding":…}; `truncated` stands there only when it is so, since OpenAI has no
// such field.
std::string item_json(size_t index, const Embedding& embedding, bool as_base64) {
  std::string out = fmt::format(R"({{"object":"embedding","index":{},"embedding":)", index);
  if (as_base64) {
    out += '"' + base64_of_floats(embedding.vector) + '"';
  } else {
    out += '[';
    for (size_t i = 0; i < embedding.vector.size(); ++i) {
      fmt::format_to(std::back_inserter(out), "{}{}", i ? "," : "", embedding.vector[i]);
    }
    out += ']';
  }
  if (embedding.truncated) out += R"(,"truncated":true)";
  return out + '}';
}

// One request: its texts go to the embedder, some at a time; the answer goes out when the last has come.
class EmbeddingsCall final : public net::Call, public std::enable_shared_from_this<EmbeddingsCall> {
 public:
  EmbeddingsCall(Embedder& embedder, net::EventLoop& loop, std::shared_ptr<net::ResponseSink> sink)
      : embedder_(embedder), loop_(loop), sink_(std::move(sink)) {}

  void start(std::string_view body) {
    auto request = read_embeddings_request(body, embedder_.dimensions());
    if (!request) return fail(request.error());
    {
      const std::lock_guard lock(mutex_);
      request_ = *std::move(request);
      items_.resize(request_.inputs.size());
      for (size_t i = 0; i < items_.size(); ++i) to_send_.push_back(i);
      left_ = items_.size();
    }
    send_more();
  }

  void fail(const base::Error& error) { end(engine::error_answer(kDialect, error)); }
  void refuse(int status, const base::Error& error) {
    engine::Answer answer = engine::error_answer(kDialect, status, error);
    if (status == 405) answer.head.headers.add("Allow", "POST");
    end(std::move(answer));
  }

  void cancel() override {
    const std::lock_guard lock(mutex_);
    over_ = true;
    sink_ = nullptr;
  }
  void pause() override {}  // the answer is one piece
  void resume() override {}

 private:
  void send_more() {
    while (const auto index = next()) {
      auto sent = embedder_.embed(request_.inputs[*index], [self = shared_from_this(), i = *index](auto result) {
        self->take(i, std::move(result));
      });
      if (sent) continue;
      if (put_back(*index, sent.error())) return;
      return fail(std::move(sent.error()));
    }
  }

  std::optional<size_t> next() {
    const std::lock_guard lock(mutex_);
    if (over_ || to_send_.empty() || at_work_ >= kTextsAtOnce) return std::nullopt;
    const size_t index = to_send_.front();
    to_send_.pop_front();
    ++at_work_;
    return index;
  }

  // A queue that others have filled: it is tried again when one of ours comes back. False: none will.
  bool put_back(size_t index, const base::Error& error) {
    const std::lock_guard lock(mutex_);
    --at_work_;
    to_send_.push_front(index);
    return error.code == base::Code::kExhausted && at_work_ > 0;
  }

  void take(size_t index, base::Result<Embedding> result) {
    if (result && request_.dimensions < embedder_.dimensions()) {
      if (auto cut = truncate(result->vector, request_.dimensions); !cut) result = base::fail(std::move(cut.error()));
    }
    if (!result) return fail(name_input(index, std::move(result.error())));
    std::string item = item_json(index, *result, request_.base64);
    bool last = false;
    {
      const std::lock_guard lock(mutex_);
      --at_work_;
      tokens_ += result->tokens;
      items_[index] = std::move(item);
      last = --left_ == 0;
    }
    if (last) return end(engine::json_answer(kDialect, body()));
    send_more();
  }

  base::Error name_input(size_t index, base::Error error) const {
    if (error.code != base::Code::kInvalid) return error;
    error.message = request_.inputs.size() == 1 ? fmt::format("'input': {}", error.message)
                                                : fmt::format("'input[{}]': {}", index, error.message);
    return error;
  }

  std::string body() const {
    std::string out = R"({"object":"list","data":[)";
    for (size_t i = 0; i < items_.size(); ++i) out += (i ? "," : "") + items_[i];
    out += fmt::format(R"(],"model":{},"usage":{{"prompt_tokens":{},"total_tokens":{}}}}})",
                       json::serialize(json::string(embedder_.model())), tokens_, tokens_);
    return out;
  }

  void end(engine::Answer answer) {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(over_, true)) return;
    }
    loop_.post([self = shared_from_this(), answer = std::move(answer)]() mutable {
      if (auto sink = self->sink()) sink->on_head(std::move(answer.head));
      if (auto sink = self->sink()) sink->on_data(std::move(answer.body));
      if (auto sink = self->sink()) sink->on_end();
      self->cancel();
    });
  }
  std::shared_ptr<net::ResponseSink> sink() const {
    const std::lock_guard lock(mutex_);
    return sink_;
  }

  Embedder& embedder_;
  net::EventLoop& loop_;
  EmbeddingsRequest request_;  // const once the first text is sent
  mutable std::mutex mutex_;
  std::shared_ptr<net::ResponseSink> sink_;  // guarded by mutex_; null: over or cancelled
  std::deque<size_t> to_send_;               // guarded by mutex_
  std::vector<std::string> items_;           // guarded by mutex_
  size_t at_work_ = 0;                       // guarded by mutex_: in the embedder
  size_t left_ = 0;                          // guarded by mutex_: without an answer
  int64_t tokens_ = 0;                       // guarded by mutex_
  bool over_ = false;                        // guarded by mutex_
};

}  // namespace

std::shared_ptr<net::Call> EmbeddingsApi::serve(const net::RequestHead& head, base::Bytes body, net::EventLoop& loop,
                                                std::shared_ptr<net::ResponseSink> sink) {
  auto call = std::make_shared<EmbeddingsCall>(embedder_, loop, std::move(sink));
  if (head.method != "POST") {
    call->refuse(
        405, {base::Code::kInvalid, fmt::format("{} is not allowed on {}: use POST", head.method, kEmbeddingsPath)});
  } else if (!pool_.post([call, body = std::move(body)] { call->start(body.view()); })) {
    call->fail({base::Code::kExhausted, "too many requests are waiting to be read; try again"});
  }
  return call;
}

}  // namespace payonce::embed
