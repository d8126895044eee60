#include "agent/intent.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace payonce::agent {
namespace {

TEST(Intent, LeavesOutManners) {
  for (const char* text :
       {"read the file foo.py", "Read the file foo.py.", "  read   the file  foo.py?", "Please read the file foo.py",
        "Could you please read the file foo.py?", "Read the file foo.py, please.", "Read the file foo.py. Thanks!"})
    EXPECT_EQ(intent_of(text), "read the file foo.py") << text;
}

TEST(Intent, KeepsWhatNamesSomething) {
  const std::pair<const char*, const char*> apart[] = {
      {"read A.txt", "read a.txt"},
      {"run it in C", "run it in C++"},
      {"fix class Foo", "fix class foo"},
      {"delete all files", "do not delete all files"},
      {"use --force", "use force"},
      {"multiply by 5", "multiply by .5"},
      {"multiply by 5", "multiply by -5"},
      {"compute 5", "compute 5!"},
      {"read env", "read .env"},
      {"cd", "cd .."},
      {"ls", "ls ."},
      {"install NET", "install .NET"},
      {"replace ; with ,", "replace , with ;"},
      {"tell me about it", "tell me about IT"},
      {"NET is what", "net is what"},
      {"grep 'a b' c", "grep a 'b c'"},
      {"grep 'a  b'", "grep 'a b'"},
      {"play the song", "play the song Please"},
      {"write a card that says thanks", "write a card that says please"},
      {"translate 'thanks'", "translate 'thank you'"},
      {"explain sort", "explain sort!"},
      {"greet the world", "greet the world: thanks"}};
  for (const auto& [a, b] : apart) EXPECT_NE(intent_of(a), intent_of(b)) << a;
}

TEST(Intent, NamesAreWhatIsNoPlainWord) {
  EXPECT_EQ(names_in("Explain what calc.py does, please."), "calc.py\n");
  EXPECT_EQ(names_in("Which file defines the config schema?"), "");
  EXPECT_EQ(names_in("Multiply -5 by .5 in Main.java"), "-5\n.5\nMain.java\n");
  EXPECT_EQ(names_in("Find a doctor in Novato. Then stop"), "Novato\n");
  EXPECT_EQ(names_in("what's the user's age?"), "");
  for (const auto& [a, b] : {std::pair{"price of AAPL", "price of aapl"},
                             {"reports about us", "reports about US"},
                             {"from 5 to 7", "from 7 to 5"},
                             {"replace ; with ,", "replace , with ;"}})
    EXPECT_NE(names_in(a), names_in(b)) << a;
}

RC_GTEST_PROP(Intent, IsItsOwnIntent, (const std::string& text)) {
  const std::string once = intent_of(text);
  RC_ASSERT(intent_of(once) == once);
  (void)names_in(text);
}

}  // namespace
}  // namespace payonce::agent
