// Hard rules: pairs that are not served for their meaning, however near, unless the entry has evidence of its own.
// The trees see the same facts; the rules stand beside them because a wrong number is worse than a missed hit.
// Threads: any.
#pragma once

#include <string_view>

#include "semantic/verifier/difference.h"
#include "semantic/verifier/text.h"

namespace payonce::semantic {

enum class Conflict {
  kNone,
  kUnread,    // a text is longer than what is compared, or differs in words of another language than English
  kNumber,    // numbers, dates, versions or ids differ
  kNegation,  // one of them negates
  kOpposite,  // enable and disable, before and after, possible and impossible
  kName,      // another name in a name's place
  kSwapped,   // the same words in changed parts: from A to B, from B to A
};

std::string_view conflict_name(Conflict conflict);  // as in metrics labels and logs

// `difference` is difference(cached, asked).
Conflict conflict(const Text& cached, const Text& asked, const Difference& difference);

}  // namespace payonce::semantic
