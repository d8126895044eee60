// Where readers put what they find: calls once each, and what was passed over.  Threads: one at a time.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "base/hash.h"
#include "history/log.h"

namespace payonce::history {

class Sink {
 public:
  Sink(Log& log, const Options& options) : log_(log), options_(options) {}

  Log& log() { return log_; }
  Arena& arena() { return log_.arena; }
  const Limits& limits() const { return options_.limits; }
  uint32_t file() const { return static_cast<uint32_t>(log_.files.size() - 1); }

  // Appends the call, as one of the file that is read, unless a call with this key is known. `key` names the call
  // wherever it was written down. Empty: calls of two files are one when their time, session, request and answer are
  // equal to the byte; one without time or answer is always another. Returns its index, and whether it is new.
  std::pair<size_t, bool> add(Call call, std::string_view key) {
    call.file = file();
    return add_as_is(call, key);
  }
  std::pair<size_t, bool> add_as_is(const Call& call, std::string_view key);  // Call::file is set
  Call& call(size_t index) { return log_.calls[index]; }

  // `why` without numbers is the reason that is counted: "invalid JSON at byte 7: …" → "invalid JSON".
  void skip(uint64_t line, std::string why) { skip_in(file(), line, std::move(why)); }
  void skip_in(uint32_t file, uint64_t line, std::string why);
  void ignore(std::string_view type);

 private:
  // The short strings of a call are kept apart from its file, so that looking through the calls does not read it
  // again.
  std::string_view interned(std::string_view name);

  Log& log_;
  const Options& options_;
  base::KeyedHash hash_;
  std::unordered_map<base::Hash128, size_t, base::Hash128Hasher> known_;
  std::unordered_set<std::string_view> names_;
};

}  // namespace payonce::history
