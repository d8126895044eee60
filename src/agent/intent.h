// What a task asks for, whatever the manners: for keys that shall not care how it is put; and what it names, which
// must be the same before another task's entry may be given for its meaning.  Threads: pure functions.
#pragma once

#include <string>
#include <string_view>

namespace payonce::agent {

// Without what is said for politeness at the beginning, or behind a comma or full stop at the end; without the mark
// that ends a sentence of words; blanks as one; the first word in lower case. Everything else stays: marks, quotes,
// capitals are what tasks are about ("5!", ".env", "AAPL"). A text with quotes or line breaks is left as it is but
// for the blanks around it.
std::string intent_of(std::string_view text);

// The words that are no plain words, in their order, a line each: file names, numbers, options, names in capitals.
std::string names_in(std::string_view text);

}  // namespace payonce::agent
