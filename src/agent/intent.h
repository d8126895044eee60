// What a task asks for, whatever the manners: for keys that shall not care how it is put.  Threads: pure function.
#pragma once

#include <string>
#include <string_view>

namespace payonce::agent {

// Words with one blank between them, without what is said for politeness before and after, without punctuation around
// a word, and in lower case where the case says nothing: at the beginning of a sentence, and of function words. What
// names something ("Main.java", "C++", "--force") stays as it is.
std::string intent_of(std::string_view text);

}  // namespace payonce::agent
