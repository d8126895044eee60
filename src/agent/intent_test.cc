#include "agent/intent.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace payonce::agent {
namespace {

TEST(Intent, LeavesOutManners) {
  for (const char* text :
       {"read the file foo.py", "Read the file foo.py.", "  read   the file\tfoo.py!!", "Please read the file foo.py",
        "Could you please read the file foo.py?", "Read the file foo.py, please.", "read the file 'foo.py' thanks"})
    EXPECT_EQ(intent_of(text), "read the file foo.py") << text;
}

TEST(Intent, KeepsWhatNamesSomething) {
  const std::pair<const char*, const char*> apart[] = {
      {"read A.txt", "read a.txt"},         {"run it in C", "run it in C++"},
      {"fix class Foo", "fix class foo"},   {"delete all files", "do not delete all files"},
      {"use --force", "use force"},         {"add 1.5", "add 15"},
      {"Open Main.java", "open main.java"}, {"price of AAPL", "price of aapl"},
      {"sort ascending", "sort descending"}};
  for (const auto& [a, b] : apart) EXPECT_NE(intent_of(a), intent_of(b)) << a;
}

RC_GTEST_PROP(Intent, IsItsOwnIntent, (const std::string& text)) {
  const std::string once = intent_of(text);
  RC_ASSERT(intent_of(once) == once);
}

}  // namespace
}  // namespace payonce::agent
