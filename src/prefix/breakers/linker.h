// Which earlier request a request should share its prefix with: the last one of its conversation, else the last one
// of its session, else the last one of its call site.  Threads: one at a time.  Memory: bounded, least recently used
// out.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <string>
#include <unordered_map>
#include <vector>

#include "prefix/breakers/kept_request.h"
#include "prefix/breakers/pieces.h"

namespace payonce::prefix {

// A call without history, by the text of its last message.
struct Question {
  std::weak_ptr<const KeptRequest> call;
  Sketch sketch;
};

// Requests with alike tools and system text (or, without these, alike first user text).
struct Site {
  uint32_t id = 0;
  llm::Dialect dialect = llm::Dialect::kOther;
  Sketch sketch;
  std::string head;                       // the text of the sketch, bounded
  std::weak_ptr<const KeptRequest> last;  // conversations own the requests; what they forget is forgotten here, too
  std::deque<Question> questions;         // the last calls that began a conversation
  uint64_t session_pairs = 0;             // requests that were compared with an earlier one of their session
};

struct Link {
  Site* site = nullptr;
  Kept previous;           // same conversation
  bool exact = false;      // … and every message of it is there
  bool same_head = false;  // … and of the same site
  Kept mate;               // same session by its hint, same site
  Sketch question;         // of the last message, where nothing goes before
  std::vector<Kept> live;  // conversations whose history could be summed up here
};

class Linker {
 public:
  struct Limits {
    size_t memory_bytes = size_t{64} << 20;  // of kept requests
    size_t conversations = 4096;
    size_t sites = 256;
  };
  explicit Linker(const Limits& limits) : limits_(limits) {}

  Link link(const Kept& now, const base::KeyedHash& hash);
  // Puts it in the place of the one that it continues. `apart`: it is kept as a call of its own (a summing up).
  void keep(const Kept& now, Link link, bool apart);
  size_t size_bytes() const { return bytes_; }

 private:
  struct Conversation {
    uint64_t id;
    Kept last;
    uint32_t site;
  };
  using Conversations = std::list<Conversation>;  // most recent first

  Site& site_of(const KeptRequest& now, const base::KeyedHash& hash, const Conversation* likely);
  Site* alike(const KeptRequest& now, const Sketch& sketch, const std::string& head);
  Conversations::iterator by_chain(const KeptRequest& now, bool& exact);
  Conversations::iterator by_messages(const KeptRequest& now);
  void drop(Conversations::iterator which);
  void evict();

  const Limits limits_;
  Conversations conversations_;
  std::unordered_map<base::Hash128, Conversations::iterator, base::Hash128Hasher> ends_;  // by its last chain
  std::list<Site> sites_;                                                                 // most recent first
  std::unordered_map<base::Hash128, uint32_t, base::Hash128Hasher> heads_;                // equal heads → site
  Conversations::iterator linked_;                                                        // by the last link()
  uint64_t next_id_ = 0;
  uint32_t next_site_ = 0;
  size_t bytes_ = 0;
};

}  // namespace payonce::prefix
