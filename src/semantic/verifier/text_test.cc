#include "semantic/verifier/text.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "semantic/verifier/lexicon.h"
#include "semantic/verifier/words.h"

namespace payonce::semantic {
namespace {

std::vector<std::string> forms(std::string_view text) {
  std::vector<std::string> out;
  for (const Word& word : analyse(text).words) out.push_back(word.form);
  return out;
}

using Forms = std::vector<std::string>;

TEST(Text, NumbersKeepTheirSeparatorsAndWordsDoNot) {
  EXPECT_EQ(forms("upgrade Redis 7.2.1, not 1,000 times"),
            (Forms{"upgrade", "redis", "7.2.1", "not", "1000", "times"}));
  EXPECT_EQ(forms("ticket AB-12 on 2021-05-03 at 10:30"),
            (Forms{"ticket", "ab-12", "on", "2021-05-03", "at", "10:30"}));
  EXPECT_EQ(forms("read/write node.js and C++"), (Forms{"read", "write", "node.js", "and", "c++"}));
  EXPECT_EQ(forms("I live in India.How about you?"), (Forms{"i", "live", "in", "india", "how", "about", "you"}));
}

TEST(Text, PolitenessIsLeftOutAtBothEndsButNeverTheWholeText) {
  EXPECT_EQ(forms("Hey, could you please print the report, thanks!"), (Forms{"print", "the", "report"}));
  EXPECT_EQ(forms("please"), Forms{"please"});
  EXPECT_EQ(analyse("Could you please print it").politeness, 3u);
}

TEST(Text, ContractionsAreTakenApart) {
  EXPECT_EQ(forms("why can't I log in"), (Forms{"why", "can", "not", "i", "log in"}));
  EXPECT_EQ(forms("what\xe2\x80\x99s the user's name"), (Forms{"what", "is", "the", "user", "name"}));
  EXPECT_EQ(analyse("why don't they").negations, analyse("why do not they").negations);
}

TEST(Text, NegationsCountUnlessTheyAreATag) {
  EXPECT_EQ(analyse("can cats not eat rice").negations, 1u);
  EXPECT_EQ(analyse("is it true or not").negations, 0u);
  EXPECT_EQ(analyse("are there notes").negations, 0u);
}

TEST(Text, OppositesAreFoundInTheirFormsAndPhrases) {
  const auto poles = [](std::string_view text) { return analyse(text).poles; };
  EXPECT_EQ(poles("enable alerts"), poles("turn alerts on"));
  EXPECT_EQ(poles("enable alerts"), poles("switch on alerts"));
  EXPECT_EQ(poles("who disabled it"), poles("who deactivates it"));
  EXPECT_NE(poles("enable alerts"), poles("turn alerts off"));
}

TEST(Text, NumbersAreEqualInTheirForms) {
  const auto numbers = [](std::string_view text) { return analyse(text).numbers; };
  EXPECT_EQ(numbers("the 3rd of Jan"), numbers("3 January"));
  EXPECT_EQ(numbers("version v3 for three users"), numbers("version 3 for 3 users"));
  EXPECT_NE(numbers("in 2016"), numbers("in 2017"));
  EXPECT_EQ(numbers("World War II").size(), 1u);
}

TEST(Text, CapitalsAreNamesOnlyWhereTheyTellSomething) {
  const auto names = [](std::string_view text) {
    Forms out;
    for (const Word& word : analyse(text).words)
      if (word.capital) out.push_back(word.form);
    return out;
  };
  EXPECT_EQ(names("Does Grace know the way to Oslo"), (Forms{"grace", "oslo"}));
  EXPECT_EQ(names("HOW DO I INSTALL THIS"), Forms{});
  EXPECT_EQ(names("How To Learn Dancing"), Forms{});
}

TEST(Text, WordsOfOneMeaningHaveOneKey) {
  const auto key = [](std::string_view word) { return analyse(word).words.at(0).key; };
  EXPECT_EQ(key("repairing"), key("fix"));
  EXPECT_EQ(key("children"), key("kid"));
  EXPECT_EQ(key("stopped"), key("stops"));
  EXPECT_NE(key("increase"), key("decrease"));
  EXPECT_NE(key("news"), key("new"));
}

TEST(Text, StemsOfOneWordAreEqual) {
  EXPECT_EQ(stem_of("running"), stem_of("runs"));
  EXPECT_EQ(stem_of("companies"), stem_of("company"));
  EXPECT_EQ(stem_of("created"), stem_of("creating"));
}

TEST(Text, WhatIsTooLongIsSaidToBeIncomplete) {
  EXPECT_TRUE(analyse("short").complete);
  EXPECT_FALSE(analyse(std::string(kMaxTextBytes + 1, 'a')).complete);
  std::string many;
  for (size_t i = 0; i <= kMaxWords; ++i) many += "w ";
  EXPECT_FALSE(analyse(many).complete);
}

RC_GTEST_PROP(Text, AnyBytesAreAText, (const std::string& bytes)) {
  const Text text = analyse(bytes);
  RC_ASSERT(text.words.size() <= 2 * kMaxWords);
  for (const Word& word : text.words) RC_ASSERT(!word.form.empty() && word.form.size() <= kMaxWordBytes);
}

}  // namespace
}  // namespace payonce::semantic
