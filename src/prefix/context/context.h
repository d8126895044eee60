// Retrieved documents in a request: the same ones in the same order each time, ahead of the question and apart from
// it, and each of them once in a conversation. Rewrites a body before the rest of the layer sees it.
// Threads: all any.  Bounded: see DocumentOrders.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "prefix/context/document_orders.h"
#include "prefix/context/unit_layout.h"
#include "prefix/prompt/prompt.h"

namespace payonce::prefix {

struct ContextAsked {
  const Prompt& prompt;
  std::string_view account, scope;
  bool order = false;         // documents in the order of first sight, in front of the question
  bool drop_repeats = false;  // a document that stands in an earlier turn is named, not sent again
  bool has_marks = false;     // the provider takes breakpoints, so documents get a part of their own
  uint32_t min_tokens = 0;    // of a prefix that it caches
};

struct ContextPlan {
  std::string body;                            // empty: nothing to change, or not provably the same
  std::string fault;                           // not empty: a rewrite was dropped, and why
  uint32_t ordered = 0, first = 0, apart = 0;  // texts: in another order, moved in front, in a part of their own
  uint32_t repeats = 0;                        // documents that were left out
};

class ContextArranger {
 public:
  explicit ContextArranger(DocumentOrders::Limits limits = {}) : orders_(limits) {}
  ContextPlan plan(const ContextAsked& asked, const base::KeyedHash& hash);
  size_t sites() const { return orders_.sites(); }

 private:
  DocumentOrders orders_;
};

}  // namespace payonce::prefix
