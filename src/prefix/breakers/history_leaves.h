// Two versions of one past message, leaf by leaf.  Threads: as its arguments.
#pragma once

#include <string>
#include <string_view>

#include "prefix/breakers/breaks.h"

namespace payonce::prefix {

void message_leaves(BreakList& list, const Unit& was, const Unit& is);
bool is_summary(std::string_view text);  // says that it sums up a conversation
bool is_type(const KeptRequest& kept, uint32_t node, std::string_view type);

}  // namespace payonce::prefix
