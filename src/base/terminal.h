// Text that others chose (names, prompts, headers), made fit for a line of a log and for a terminal.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace payonce::base {

// What a terminal acts on, or what makes a line read otherwise than it was written: controls, C1 too, line and
// paragraph separators, and marks that turn the direction of the text.
bool is_acting(uint32_t code);

// Such characters as \uXXXX, and bytes that are no UTF-8 as \ufffd; line ends and tabs stay.
std::string for_terminal(std::string_view text);

}  // namespace payonce::base
