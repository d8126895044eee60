// Words around a changed place, and how text is spelled.  Threads: pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace payonce::prefix {

// Bytes of the white space character at `at` (no-break, zero-width and byte order marks, too); 0 if it is none.
size_t space_length(std::string_view text, size_t at);
// What stands before `at` on its line, at most some 80 bytes.
std::string_view line_before(std::string_view text, size_t at);
// The end of it in a form that stays when numbers in it change: lower case, digits as '#'.
std::string label_of(std::string_view before);
bool is_number(std::string_view text);        // digits with separators, units of one letter, percent
bool looks_like_name(std::string_view text);  // one to four words with capitals

}  // namespace payonce::prefix
