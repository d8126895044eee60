// A model that is asked whether two answers say the same, behind an OpenAI-compatible /v1/chat/completions. It costs
// a call for each label, of the two answers' length. Threads: ask() any; `done` comes on the judge's own thread,
// once.  Owner: the instance; destroying it drops what is on its way.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace payonce::semantic {

class AnswerJudge {
 public:
  struct Options {
    std::string url;    // "https://api.example.com/v1"
    std::string model;  // its name there
    std::string key;    // sent as a bearer token; empty: none
    size_t calls = 4;   // at the same time; more are not made
    int64_t timeout_ms = 60'000;
  };
  // kInvalid: no URL, no model.
  static base::Result<std::unique_ptr<AnswerJudge>> make(Options options);
  ~AnswerJudge();

  using Done = std::function<void(std::optional<bool> same)>;  // nothing: it gave no usable answer
  // False: as many calls as may be are on their way; there is no label then.
  bool ask(std::string_view question, std::string_view one, std::string_view other, Done done);

 private:
  struct State;
  explicit AnswerJudge(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The request's body, and what an answer's body says. Pure; for tests.
std::string judge_request(std::string_view model, std::string_view question, std::string_view one,
                          std::string_view other);
std::optional<bool> judge_verdict(std::string_view body);

}  // namespace payonce::semantic
