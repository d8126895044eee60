// What of a text stays and what changes from version to version: system prompts with a clock, a user's name, the
// state of a working tree. Segments that every version had are stable; what stands between two stable ones is a
// region, known by the stable segment before it, whatever it holds. Threads: one at a time.  Bounded: kMaxSegments of
// each version are looked at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/hash.h"
#include "base/little_endian.h"
#include "prefix/volatile_text.h"

namespace payonce::prefix {

class TextHistory {
 public:
  struct Verdict {
    std::vector<bool> changes;  // by segment: it is of a region that changes again and again, or holds a time or an
                                // id that did not stand there before
    bool any_changes = false;
    bool unreadable = false;  // something in it is another each time, so nothing behind it is ever read
  };
  Verdict take(const std::vector<Segment>& segments);

  static constexpr size_t kMaxSegments = 1024;

  // How its places behave, over the versions that were seen.
  struct Census {
    uint32_t seen = 0;
    size_t stable = 0;        // segments that every version had
    size_t per_request = 0;   // regions that were another nearly each time
    size_t now_and_then = 0;  // that changed again and again, but stayed for a while: a session's, a turn's
    size_t once = 0;          // that changed once
  };
  Census census() const;
  size_t bytes() const;  // of memory, about

  void save(std::string& out) const;
  void load(base::NumberReader& from);

 private:
  using Hash = base::Hash128;
  struct Region {
    Hash last;  // what it held; {}: nothing
    uint32_t seen = 0, changed = 0;
    bool is_volatile = false;  // once it is, it stays: text that comes and goes from its place helps nobody
  };
  struct Span {  // of segments, in one version
    Hash anchor, content;
    size_t begin = 0, end = 0;
    size_t bytes = 0;
  };
  void begin(const std::vector<Segment>& segments);
  std::vector<Span> spans(const std::vector<Segment>& segments) const;
  void note(const std::vector<Span>& spans);

  uint32_t seen_ = 0;
  size_t began_with_ = 0;  // stable segments of the first version
  std::unordered_set<Hash, base::Hash128Hasher> stable_;
  std::unordered_map<Hash, Region, base::Hash128Hasher> regions_;  // by anchor
};

}  // namespace payonce::prefix
