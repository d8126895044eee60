// Writes one answer in one dialect, whole or as a stream, as the engine's events come. Choices are counted over all
// prompts of the request: prompt × n + choice.  Threads: one at a time (the loop of the request).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/api/errors.h"
#include "engine/request.h"
#include "llm/dialect.h"

namespace payonce::engine {

// What every answer repeats.
struct AnswerIdentity {
  std::string id;
  int64_t created_s = 0;
  std::string model;        // as the request named it
  std::string fingerprint;  // of the model's weights
};

class AnswerWriter {
 public:
  virtual ~AnswerWriter() = default;
  virtual llm::Dialect dialect() const = 0;
  // False: nothing may be sent before done(), whose text is the whole JSON document.
  virtual bool streams() const = 0;

  // Each appends to `out` what can be sent now.
  virtual void prompt_logprobs(size_t prompt, std::vector<TokenLogprob> of_tokens,
                               std::vector<std::vector<TokenLogprob>> likeliest) {
    (void)prompt, (void)of_tokens, (void)likeliest;
  }
  virtual void started(const EngineUsage& usage) { (void)usage; }  // of a prompt, before its first piece
  virtual void piece(Piece piece, std::string& out) = 0;
  virtual void flush(std::string& out) = 0;  // after some pieces: what was not worth looking at one by one
  virtual void finished(const Finished& finished, std::string& out) = 0;
  virtual void done(const EngineUsage& usage, std::string& out) = 0;
  // The event that ends a stream that has begun.
  virtual std::string error_event(const base::Error& error) const { return engine::error_event(dialect(), error); }
};

}  // namespace payonce::engine
