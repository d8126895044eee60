// The questions of the semantic cache on disk, so that a restart forgets none: one append-only file, read whole at
// start. docs/formats/question-log.md describes each byte. The answers lie in the response store; a question whose
// answer is gone there is dropped when it is next found.
//
// Vectors are kept as int8 with a scale each, as the index and the verifier use them. A file of another embedder, or
// one that is damaged from some byte on, costs its questions and nothing else.
//
// Threads: all any; writing happens on the worker pool, in order.  Owner: the instance.
// Errors: none; a full disk ends the writing, logged once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/env.h"
#include "base/hash.h"
#include "base/result.h"
#include "base/worker_pool.h"
#include "embed/embedder.h"

namespace payonce::semantic {

struct StoredQuestion {
  std::string group, key, question;
  base::Hash128 answer{};
  int64_t expires_ms = 0;  // unix
  embed::Embedding embedding;
};

inline constexpr size_t kMaxStoredTokens = 32;  // whose vectors are kept

// One record, and what it says. kCorrupt: the bytes are not what was written. Pure; for tests and fuzzing as well.
std::string encode_question(const StoredQuestion& question);
base::Result<StoredQuestion> decode_question(std::string_view payload);

class QuestionLog {
 public:
  struct Options {
    std::string path;
    uint64_t max_bytes = 1ull << 30;  // beyond it nothing is written until a rewrite
  };
  QuestionLog(Options options, std::string embedder_identity, base::Env& env, base::WorkerPool& pool);
  ~QuestionLog();

  // Each question of the file, the oldest first; then the file is open for appending. Does I/O.
  void read(const std::function<void(StoredQuestion)>& each);
  void append(const StoredQuestion& question);
  // Leaves only questions with such keys in the file, for good. Does I/O, on the pool.
  void keep_only(std::function<bool(const std::string& key)> wanted);
  void flush();  // waits for what was appended

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace payonce::semantic
