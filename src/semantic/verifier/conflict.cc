#include "semantic/verifier/conflict.h"

namespace payonce::semantic {

std::string_view conflict_name(Conflict conflict) {
  switch (conflict) {
    case Conflict::kNone: return "none";
    case Conflict::kUnread: return "unread";
    case Conflict::kNumber: return "number";
    case Conflict::kNegation: return "negation";
    case Conflict::kOpposite: return "opposite";
    case Conflict::kName: return "name";
    case Conflict::kSwapped: return "swapped";
  }
  return "none";
}

Conflict conflict(const Text& cached, const Text& asked, const Difference& difference) {
  if (!cached.complete || !asked.complete) return Conflict::kUnread;
  // What the lists do not know may be a negation or an opposite: then every word must have its equal.
  const bool apart = !difference.only_first.empty() || !difference.only_second.empty() || difference.typos > 0;
  if (apart && !(cached.english && asked.english)) return Conflict::kUnread;
  // A number that only one of them has is a matter of degree ("in 2016", "the new"): the trees weigh it.
  if (difference.numbers_first > 0 && difference.numbers_second > 0) return Conflict::kNumber;
  if ((cached.negations + asked.negations) % 2 == 1) return Conflict::kNegation;
  if (difference.opposites + difference.prefixed > 0) return Conflict::kOpposite;
  if (difference.names_first > 0 && difference.names_second > 0) return Conflict::kName;
  if (difference.swapped > 0) return Conflict::kSwapped;
  return Conflict::kNone;
}

}  // namespace payonce::semantic
