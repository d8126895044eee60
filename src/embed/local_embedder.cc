#include "embed/local_embedder.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/log.h"
#include "embed/vector.h"

namespace payonce::embed {

namespace {

// Rows at which a further text no longer makes the others cheaper: from about 100 on, a row costs the same.
constexpr size_t kBatchTokens = 112;
constexpr size_t kUsualBytesPerToken = 4;  // of usual English text; only to guess a batch's size

}  // namespace

base::Result<std::unique_ptr<LocalEmbedder>> LocalEmbedder::make(Options options) {
  std::unique_ptr<LocalEmbedder> out(new LocalEmbedder(std::move(options)));
  {
    PAYONCE_TRY(const BertFile file, BertFile::open(out->options_.file));
    out->model_ = file.name;
    out->shape_ = file.shape;
    out->digest_ = file.file->digest();
  }
  const int32_t width = out->shape_.width, wanted = out->options_.dimensions;
  if (wanted < 0 || wanted > width) {
    return base::fail(base::Code::kInvalid,
                      fmt::format("{} dimensions: {} gives 1 to {}", wanted, out->options_.file, width));
  }
  out->dimensions_ = wanted == 0 ? width : wanted;
  out->identity_ = fmt::format("{}:{}:{}", out->model_, out->digest_, out->dimensions_);
  for (int i = 0; i < std::max(1, out->options_.threads); ++i) {
    out->threads_.emplace_back([embedder = out.get()] { embedder->run(); });
  }
  return out;
}

LocalEmbedder::LocalEmbedder(Options options)
    : options_(std::move(options)), waiting_(options_.queue_limit, options_.metrics) {}

LocalEmbedder::~LocalEmbedder() {
  waiting_.close();
  for (std::thread& thread : threads_) thread.join();
}

void LocalEmbedder::run() {
  Bert::Workspace workspace;
  while (true) {
    size_t tokens = 0;
    std::vector<WaitingText> batch = waiting_.take(kBatchTokens, [&](const WaitingText& next) {
      tokens += 2 + next.text.size() / kUsualBytesPerToken;
      return tokens <= kBatchTokens;
    });
    if (batch.empty()) return;
    auto done = base::fail(base::Code::kInternal, "");
    try {
      const auto model = model_loaded();
      if (model) compute(**model, batch, workspace);
      if (!model) done = base::fail(model.error());
    } catch (const std::exception& error) {  // no memory
      done = base::fail(base::Code::kInternal, fmt::format("the embedder failed: {}", error.what()));
    }
    for (WaitingText& each : batch) {
      if (each.done) waiting_.answer(each, done);
    }
  }
}

base::Result<const LocalEmbedder::Model*> LocalEmbedder::model_loaded() {
  const std::lock_guard lock(load_mutex_);
  if (!loaded_) {
    const auto started = WaitingText::Clock::now();
    loaded_.emplace(load());
    if (*loaded_) {
      base::log_info(
          "embedder {} is ready in {} ms", model_,
          std::chrono::duration_cast<std::chrono::milliseconds>(WaitingText::Clock::now() - started).count());
    } else {
      base::log_error("embedder: {}", loaded_->error().message);
    }
  }
  if (!*loaded_) return base::fail(loaded_->error());
  return &**loaded_;
}

base::Result<LocalEmbedder::Model> LocalEmbedder::load() const {
  Model out;
  PAYONCE_TRY(BertFile file, BertFile::open(options_.file));
  if (file.file->digest() != digest_) {
    return base::fail(base::Code::kInvalid,
                      options_.file + ": the file has changed since the start; start again to use it");
  }
  PAYONCE_TRY(out.pieces, WordPieces::load(options_.file, shape_.vocab, shape_.max_tokens));
  PAYONCE_TRY(out.bert, Bert::load(std::move(file)));
  return out;
}

void LocalEmbedder::compute(const Model& model, std::span<WaitingText> batch, Bert::Workspace& workspace) {
  const auto started = WaitingText::Clock::now();
  std::vector<WordPieces::Tokens> tokens;
  std::vector<std::vector<int32_t>> ids;
  std::vector<WaitingText*> texts;
  for (WaitingText& each : batch) {
    auto found = model.pieces->tokenize(each.text);
    if (!found) {
      waiting_.answer(each, base::fail(std::move(found.error())));
      continue;
    }
    ids.push_back(found->ids);
    tokens.push_back(*std::move(found));
    texts.push_back(&each);
  }
  const std::vector<Bert::Rows> rows = model.bert->encode(ids, workspace);
  waiting_.computed(started);
  for (size_t i = 0; i < texts.size(); ++i) waiting_.answer(*texts[i], finish(model, tokens[i], rows[i]));
}

base::Result<Embedding> LocalEmbedder::finish(const Model& model, const WordPieces::Tokens& tokens,
                                              Bert::Rows rows) const {
  Embedding out;
  out.tokens = static_cast<int32_t>(tokens.ids.size());
  out.truncated = tokens.truncated;
  PAYONCE_TRY(out.vector, model.bert->pool(rows));
  if (dimensions_ < shape_.width) PAYONCE_CHECK_OK(truncate(out.vector, dimensions_));
  const auto width = static_cast<size_t>(shape_.width);
  const Bert::Rows inner = rows.subspan(width, rows.size() - 2 * width);
  out.token_ids.assign(tokens.ids.begin() + 1, tokens.ids.end() - 1);
  out.token_vectors.assign(inner.begin(), inner.end());
  for (size_t i = 0; i < out.token_vectors.size(); i += width) {
    PAYONCE_CHECK_OK(normalize({out.token_vectors.data() + i, width}));
  }
  return out;
}

}  // namespace payonce::embed
