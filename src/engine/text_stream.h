// The text of one choice as its tokens come: whole UTF-8 characters, and nothing that could still turn out to be the
// start of a stop string.  Threads: one object one thread.  Owner: its sequence.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "engine/request.h"

namespace payonce::engine {

struct GeneratedToken {
  int32_t token = 0;
  std::string text;   // bytes; may be part of a character
  float logprob = 0;  // when asked for
  std::vector<TokenLogprob> likeliest;
};

class TextStream {
 public:
  // `logprobs`: pieces carry them. `stops`: must not be empty strings.
  TextStream(int32_t choice, std::vector<std::string> stops, bool logprobs)
      : choice_(choice), stops_(std::move(stops)), logprobs_(logprobs) {}

  // Takes a token; what may go out now is in take(). True: a stop string is complete, text after it is dropped.
  // `may_stop` false (before min_tokens): stop strings are not looked for, also not later in this text.
  bool add(GeneratedToken token, bool may_stop);
  // What may go out; empty tokens and text: nothing. `last`: all that is held back, too; bytes that are no character
  // become U+FFFD.
  Piece take(bool last);
  const std::string& stop_string() const { return stop_string_; }  // which ended it; empty: none

 private:
  size_t releasable() const;

  int32_t choice_;
  std::vector<std::string> stops_;
  bool logprobs_;
  std::string held_;        // text not yet given out
  size_t search_from_ = 0;  // in held_: where a stop string may begin
  struct Waiting {
    GeneratedToken token;
    size_t end;  // in held_: where its text ends
  };
  std::deque<Waiting> waiting_;
  std::string stop_string_;
};

}  // namespace payonce::engine
