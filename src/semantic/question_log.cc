#include "semantic/question_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "base/log.h"
#include "embed/vector.h"

namespace payonce::semantic {
namespace {

constexpr std::string_view kMagic = "PAYQLOG1";
constexpr size_t kHeaderBytes = kMagic.size() + sizeof(base::Digest);
constexpr size_t kFrameBytes = 4 + 32;  // size, SHA-256 of the payload
constexpr uint32_t kMaxRecordBytes = 4u << 20;
constexpr uint32_t kMaxDimensions = 65'536;
constexpr float kMaxScale = 1000;  // of vectors of length 1; wide enough for any

class Writer {
 public:
  template <typename T>
  void number(T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);  // little endian, as all that we run on
  }
  void text(std::string_view value) {
    number(static_cast<uint32_t>(value.size()));
    out.append(value);
  }
  void vector(std::span<const float> values) {
    std::vector<int8_t> small(values.size());
    number(embed::quantise_int8(values, small.data()));
    out.append(reinterpret_cast<const char*>(small.data()), small.size());
  }
  std::string out;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  template <typename T>
  T number() {
    T value{};
    const std::string_view raw = take(sizeof value);
    if (good_) std::memcpy(&value, raw.data(), sizeof value);
    return value;
  }
  std::string text() { return std::string(take(number<uint32_t>())); }
  void vector(size_t size, std::vector<float>& out) {
    const auto scale = number<float>();
    good_ = good_ && scale >= 0 && scale <= kMaxScale;  // and no NaN
    for (const char value : take(size)) out.push_back(static_cast<float>(static_cast<int8_t>(value)) * scale);
  }
  std::string_view take(size_t size) {
    if (!good_ || size > bytes_.size()) {
      good_ = false;
      return {};
    }
    const std::string_view out = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return out;
  }
  bool good() const { return good_; }
  bool done() const { return good_ && bytes_.empty(); }
  size_t left() const { return bytes_.size(); }

 private:
  std::string_view bytes_;
  bool good_ = true;
};

std::string framed(const std::string& payload) {
  Writer out;
  out.number(static_cast<uint32_t>(payload.size()));
  const base::Digest sum = base::sha256(payload);
  out.out.append(reinterpret_cast<const char*>(sum.data()), sum.size());
  return out.out + payload;
}

// The payload of the next record, which ends at `next`; empty at the end or where the bytes are not a whole record.
std::string_view next_payload(std::string_view file, size_t& next) {
  Reader frame(file.substr(next));
  const auto size = frame.number<uint32_t>();
  const std::string_view sum = frame.take(sizeof(base::Digest));
  if (!frame.good() || size == 0 || size > kMaxRecordBytes) return {};
  const std::string_view payload = frame.take(size);
  if (!frame.good()) return {};
  const base::Digest found = base::sha256(payload);
  if (std::memcmp(sum.data(), found.data(), found.size()) != 0) return {};
  next += kFrameBytes + size;
  return payload;
}

}  // namespace

std::string encode_question(const StoredQuestion& question) {
  const embed::Embedding& embedding = question.embedding;
  Writer out;
  out.text(question.group);
  out.text(question.key);
  out.text(question.question);
  out.number(question.answer.low);
  out.number(question.answer.high);
  out.number(question.expires_ms);
  const size_t ids = embedding.token_ids.size();
  const size_t width = ids == 0 ? 0 : embedding.token_vectors.size() / ids;
  const size_t tokens = width == 0 ? 0 : std::min(ids, kMaxStoredTokens);
  out.number(static_cast<uint32_t>(embedding.vector.size()));
  out.number(static_cast<uint32_t>(width));
  out.number(static_cast<uint32_t>(tokens));
  out.vector(embedding.vector);
  for (size_t i = 0; i < tokens; ++i) {
    out.number(embedding.token_ids[i]);
    out.vector(std::span(embedding.token_vectors).subspan(i * width, width));
  }
  return std::move(out.out);
}

base::Result<StoredQuestion> decode_question(std::string_view payload) {
  const auto corrupt = [](std::string_view what) {
    return base::fail(base::Code::kCorrupt, fmt::format("question record: {}", what));
  };
  Reader in(payload);
  StoredQuestion out;
  out.group = in.text();
  out.key = in.text();
  out.question = in.text();
  out.answer.low = in.number<uint64_t>();
  out.answer.high = in.number<uint64_t>();
  out.expires_ms = in.number<int64_t>();
  const auto dimensions = in.number<uint32_t>(), width = in.number<uint32_t>(), tokens = in.number<uint32_t>();
  if (!in.good()) return corrupt("it ends too early");
  if (dimensions > kMaxDimensions || width > kMaxDimensions || tokens > kMaxStoredTokens ||
      dimensions + static_cast<size_t>(tokens) * width > in.left())
    return corrupt("its vectors are larger than itself");
  if ((tokens == 0) != (width == 0)) return corrupt("its tokens have no vectors");
  in.vector(dimensions, out.embedding.vector);
  for (uint32_t i = 0; i < tokens; ++i) {
    out.embedding.token_ids.push_back(in.number<int32_t>());
    in.vector(width, out.embedding.token_vectors);
  }
  if (!in.done()) return corrupt("it does not end where it should");
  return out;
}

struct QuestionLog::State {
  State(Options o, std::string_view identity, base::Env& e, base::WorkerPool& p)
      : options(std::move(o)), env(e), pool(p) {
    const base::Digest digest = base::sha256(identity);
    header = std::string(kMagic) + std::string(reinterpret_cast<const char*>(digest.data()), digest.size());
  }

  void write_some();
  base::Result<std::string> content();
  base::Status open_for_appending(uint64_t good_bytes);
  base::Status replace(const std::string& content);
  void give_up(const base::Error& error) {
    base::log_warn("{}: {}; questions of the semantic layer are no longer kept on disk", options.path, error.message);
    file.reset();
  }

  const Options options;
  std::string header;
  base::Env& env;
  base::WorkerPool& pool;
  std::mutex mutex;
  std::condition_variable idle;
  std::deque<std::string> waiting;   // guarded by mutex: framed records
  bool writing = false;              // guarded by mutex
  std::mutex file_mutex;             // held while the file is read or written
  std::unique_ptr<base::File> file;  // guarded by file_mutex; null: nothing is written
  uint64_t file_bytes = 0;           // guarded by file_mutex
};

QuestionLog::QuestionLog(Options options, std::string embedder_identity, base::Env& env, base::WorkerPool& pool)
    : state_(std::make_shared<State>(std::move(options), embedder_identity, env, pool)) {}
QuestionLog::~QuestionLog() { flush(); }

void QuestionLog::read(const std::function<void(StoredQuestion)>& each) {
  State& state = *state_;
  const std::lock_guard lock(state.file_mutex);
  const auto content = state.content();
  if (!content) return state.give_up(content.error());
  const std::string_view file = *content;
  size_t next = kHeaderBytes;
  if (file.substr(0, kHeaderBytes) != state.header) {
    if (!file.empty()) base::log_info("{}: of another embedder or release; starting anew", state.options.path);
    if (const auto made = state.replace(state.header); !made) return state.give_up(made.error());
  } else {
    for (std::string_view payload; !(payload = next_payload(file, next)).empty();)
      if (auto question = decode_question(payload)) each(*std::move(question));
    if (next < file.size())
      base::log_warn("{}: {} bytes at the end cannot be read and are dropped", state.options.path,
                     file.size() - next);
  }
  if (const auto opened = state.open_for_appending(next); !opened) state.give_up(opened.error());
}

// Empty when there is no file, or one that nothing can be read of.
base::Result<std::string> QuestionLog::State::content() {
  std::string out;
  if (!env.exists(options.path)) return out;
  const auto opened = env.open(options.path, base::Env::Mode::kReadOnly);
  if (!opened && opened.error().code == base::Code::kCorrupt) {
    base::log_warn("{}; starting anew", opened.error().message);
    return out;
  }
  if (!opened) return base::fail(opened.error());
  PAYONCE_TRY(const uint64_t size, (*opened)->size());
  out.resize(size);
  PAYONCE_TRY(const size_t got, (*opened)->read_past_damage(0, out.data(), out.size()));
  out.resize(got);
  return out;
}

base::Status QuestionLog::State::open_for_appending(uint64_t good_bytes) {
  PAYONCE_TRY(file, env.open(options.path, base::Env::Mode::kAppend));
  PAYONCE_CHECK_OK(file->truncate(good_bytes));
  file_bytes = good_bytes;
  return {};
}

base::Status QuestionLog::State::replace(const std::string& content) {
  file.reset();
  return base::write_file_atomic(env, options.path, content);
}

void QuestionLog::append(const StoredQuestion& question) {
  std::string record = framed(encode_question(question));
  const std::lock_guard lock(state_->mutex);
  state_->waiting.push_back(std::move(record));
  if (state_->writing) return;
  state_->writing = state_->pool.post([state = state_] { state->write_some(); });
}

void QuestionLog::State::write_some() {
  for (;;) {
    std::deque<std::string> records;
    {
      const std::lock_guard lock(mutex);
      records.swap(waiting);
      if (records.empty()) {
        writing = false;
        idle.notify_all();
        return;
      }
    }
    const std::lock_guard lock(file_mutex);
    std::string batch;
    for (const std::string& record : records)
      if (file_bytes + batch.size() + record.size() <= options.max_bytes) batch += record;
    if (!file || batch.empty()) continue;
    if (const auto written = file->append(batch); !written)
      give_up(written.error());
    else
      file_bytes += batch.size();
  }
}

void QuestionLog::keep_only(std::function<bool(const std::string& key)> wanted) {
  (void)state_->pool.post([state = state_, wanted = std::move(wanted)] {
    const std::lock_guard lock(state->file_mutex);
    if (!state->file) return;
    const auto content = state->content();
    if (!content) return state->give_up(content.error());
    std::string kept = state->header;
    size_t next = kHeaderBytes;
    for (std::string_view payload; !(payload = next_payload(*content, next)).empty();)
      if (const auto question = decode_question(payload); question && wanted(question->key))
        kept += framed(std::string(payload));
    if (kept.size() == content->size()) return;
    auto done = state->replace(kept);
    if (done) done = state->open_for_appending(kept.size());
    if (!done) state->give_up(done.error());
  });
}

void QuestionLog::flush() {
  std::unique_lock lock(state_->mutex);
  state_->idle.wait(lock, [&] { return !state_->writing; });
}

}  // namespace payonce::semantic
