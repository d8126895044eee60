// For tests: keeps what a request was told.
#pragma once

#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/request.h"

namespace payonce::engine {

struct RecordingSink final : Sink {
  void piece(Piece piece) override {
    auto& of = tokens[piece.choice];
    of.insert(of.end(), piece.tokens.begin(), piece.tokens.end());
    text[piece.choice] += piece.text;
  }
  void finished(Finished finished) override { ends[finished.choice] = finished; }
  void done(EngineUsage of) override {
    usage = of;
    over.store(true);
  }
  void failed(base::Error what) override {
    error = std::move(what);
    over.store(true);
  }
  void prompt_logprobs(std::vector<TokenLogprob> of, std::vector<std::vector<TokenLogprob>>) override {
    prompt = std::move(of);
  }

  std::map<int32_t, std::vector<int32_t>> tokens;
  std::map<int32_t, std::string> text;
  std::map<int32_t, Finished> ends;
  std::vector<TokenLogprob> prompt;
  std::optional<EngineUsage> usage;
  std::optional<base::Error> error;
  std::atomic<bool> over{false};  // after it, the rest may be read by any thread
};

}  // namespace payonce::engine
