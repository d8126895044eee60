// One place in which a request differs from the one that it should share its prefix with.  Threads: values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "prefix/breakers/finding.h"
#include "prefix/breakers/json_diff.h"
#include "prefix/breakers/kept_request.h"
#include "prefix/breakers/slots.h"

namespace payonce::prefix {

struct Break {
  Kind kind = Kind::kClock;
  // A slot: its kind follows from when it changed (inside sessions, between them, back again) over all requests.
  bool is_slot = false;
  Guess guess = Guess::kOther;
  std::string path;
  std::string place;  // what makes two breaks one finding: path without counting indexes, label of the slot
  size_t byte_offset = 0, bytes = 0;
  uint32_t position = 0;  // tokens of the prefix in front of it
  std::string before, after, detail;
};

struct Pair {
  const KeptRequest& before;
  const KeptRequest& now;
  bool same_session;  // a hint or a shared history says so
  bool same_history;  // `now` continues the conversation of `before`
};

enum class Area : uint8_t { kTools, kSystem, kHistory, kQuestion };

class BreakList {
 public:
  explicit BreakList(const Pair& pair) : pair_(pair) {}

  // The whole value at `node` of the present request.
  Break& at_node(Kind kind, uint32_t node, std::string detail = {});
  // Two versions of one text: its pieces in another order, then each slot. False: most of it differs.
  bool texts(const std::string& a, const std::string& b, uint32_t node, Area area);
  void slot(const Slot& slot, uint32_t node, Area area);
  // A whole text that is there in one request alone.
  void lone_text(const std::string& text, uint32_t node, bool is_new);
  bool has(Kind kind, std::string_view place) const;

  std::vector<Break> take() { return std::move(breaks_); }
  const Pair& pair() const { return pair_; }

 private:
  const Pair pair_;
  std::vector<Break> breaks_;
};

void compare_tools(BreakList& list);
void compare_system(BreakList& list);
void compare_history(BreakList& list);  // same_history
void compare_parameters(BreakList& list);
// The only user text of two calls that are no conversation: documents that moved or stand behind the question, slots
// of patterns in front of much equal text.
void compare_questions(BreakList& list);
// Whether `now` sends the history of `before` for summing up, under another head; tells so in `list`.
bool compare_compaction(BreakList& list);

// "messages[4].content" → "messages[*].content"; system and leading system messages keep theirs.
std::string place_of(const KeptRequest& kept, const std::string& path);
std::string provider_of(const KeptRequest& kept);

}  // namespace payonce::prefix
