#include "semantic/verifier/conflict.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

#include "semantic/verifier/pair_fixture.h"

namespace payonce::semantic {
namespace {

TEST(Conflict, NumbersDatesVersionsAndIdsMustBeEqual) {
  EXPECT_EQ(conflict_of("what changed in Redis 7.2", "what changed in Redis 7.4"), Conflict::kNumber);
  EXPECT_EQ(conflict_of("who is on call on Monday", "who is on call on Friday"), Conflict::kNumber);
  EXPECT_EQ(conflict_of("status of invoice AB-12", "status of invoice AB-13"), Conflict::kNumber);
  EXPECT_EQ(conflict_of("sales in May 2020", "sales in May 2021"), Conflict::kNumber);
  EXPECT_EQ(conflict_of("the 1st of Jan", "1 January"), Conflict::kNone);
  EXPECT_EQ(conflict_of("two tickets for 1,000 euros", "2 tickets for 1000 euros"), Conflict::kNone);
}

TEST(Conflict, ANumberOfOneSideAloneIsForTheTrees) {
  EXPECT_EQ(conflict_of("best phone in 2016", "best phone"), Conflict::kNone);
}

TEST(Conflict, OtherLanguagesAreComparedWordByWord) {
  for (const auto& [one, other] :
       {std::pair{"Как включить тёмную тему?", "Как выключить тёмную тему?"},
        {"¿Cómo activo el modo oscuro en mi teléfono?", "¿Cómo quito el modo oscuro en mi teléfono?"},
        {"Darf ich den Router neu starten?", "Darf ich den Router nicht neu starten?"},
        {"如何启用双重认证？", "如何禁用双重认证？"}})
    EXPECT_NE(conflict_of(one, other), Conflict::kNone) << one;
  EXPECT_EQ(conflict_of("Как включить тёмную тему?", "Как включить тёмную тему"), Conflict::kNone);
  EXPECT_EQ(conflict_of("What is a café au lait made of?", "what's a café au lait made from"), Conflict::kNone);
  EXPECT_EQ(conflict_of("reset my password", "change my password"), Conflict::kNone);  // too short to tell: the trees
}

TEST(Conflict, OneNegationIsAConflictAndTwoAreNot) {
  EXPECT_EQ(conflict_of("can dogs eat rice", "can dogs not eat rice"), Conflict::kNegation);
  EXPECT_EQ(conflict_of("why can't I sleep", "why can I not sleep"), Conflict::kNone);
  EXPECT_EQ(conflict_of("is it safe", "is it safe or not"), Conflict::kNone);
}

TEST(Conflict, OppositesInAnyWordsAreConflicts) {
  EXPECT_EQ(conflict_of("enable dark mode", "turn off dark mode"), Conflict::kOpposite);
  EXPECT_EQ(conflict_of("turn dark mode on", "how do I disable dark mode"), Conflict::kOpposite);
  EXPECT_EQ(conflict_of("tasks due before lunch", "tasks due after lunch"), Conflict::kOpposite);
  EXPECT_EQ(conflict_of("is it possible", "is it impossible"), Conflict::kOpposite);
  EXPECT_EQ(conflict_of("is it ethical to lie", "is it unethical to lie"), Conflict::kOpposite);
  EXPECT_EQ(conflict_of("enable dark mode", "turn on dark mode"), Conflict::kNone);
  EXPECT_EQ(conflict_of("is black better than white", "is white better than black"), Conflict::kSwapped);
}

TEST(Conflict, AnotherNameInANamesPlaceIsOne) {
  EXPECT_EQ(conflict_of("show the files of Clara", "show the files of Bruno"), Conflict::kName);
  EXPECT_EQ(conflict_of("who leads India", "who leads the Indian government"), Conflict::kNone);
  EXPECT_EQ(conflict_of("where is Clara", "where is Clara Weber"), Conflict::kNone);
}

TEST(Conflict, ChangedPartsAreOneUnlessPartsMayChange) {
  EXPECT_EQ(conflict_of("trains from Oslo to Rome", "trains from Rome to Oslo"), Conflict::kSwapped);
  EXPECT_EQ(conflict_of("convert euros to yen", "convert yen to euros"), Conflict::kSwapped);
  EXPECT_EQ(conflict_of("tea or coffee", "coffee or tea"), Conflict::kNone);
  EXPECT_EQ(conflict_of("difference between tea and coffee", "difference between coffee and tea"), Conflict::kNone);
}

TEST(Conflict, TheSameNumbersInAnotherOrderAreOneUnlessTheyMayChange) {
  EXPECT_EQ(conflict_of("what is 5 minus 3", "what is 3 minus 5"), Conflict::kSwapped);
  EXPECT_EQ(conflict_of("convert 10 USD at a rate of 7", "convert 7 USD at a rate of 10"), Conflict::kSwapped);
  EXPECT_EQ(conflict_of("the sum of 5 and 3", "the sum of 3 and 5"), Conflict::kNone);
  EXPECT_EQ(conflict_of("rain on 5 May 2016", "rain on May 5, 2016"), Conflict::kNone);
}

TEST(Conflict, RewordingsAndTypingErrorsAreNone) {
  EXPECT_EQ(conflict_of("how do I reset my password", "Could you please tell me how to reset my pasword?"),
            Conflict::kNone);
  EXPECT_EQ(conflict_of("what's the weather in Oslo", "What is the weather in Oslo, thanks"), Conflict::kNone);
  EXPECT_EQ(conflict_of("show my orders", "list my orders please"), Conflict::kNone);
}

TEST(Conflict, WhatWasNotReadIsNotServed) {
  const std::string longer(kMaxTextBytes + 1, 'a');
  EXPECT_EQ(conflict_of(longer, longer), Conflict::kUnread);
}

TEST(Conflict, EachHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(Conflict::kSwapped); ++i)
    names.insert(conflict_name(static_cast<Conflict>(i)));
  EXPECT_EQ(names.size(), 7u);
}

TEST(Difference, FindsTypingErrorsButNoOtherWords) {
  EXPECT_TRUE(is_typo("password", "pasword"));
  EXPECT_TRUE(is_typo("weather", "waether"));
  EXPECT_FALSE(is_typo("cat", "car"));
  EXPECT_FALSE(is_typo("import", "export"));
  const Text first = analyse("buy a tool box in Maria street");
  const Text second = analyse("buy a toolbox in Marie street");
  const Difference apart = difference(first, second);
  ASSERT_EQ(apart.only_first.size(), 1u);
  EXPECT_EQ(apart.only_first[0]->form, "maria");
}

RC_GTEST_PROP(Conflict, IsTheSameWhenTheTwoChangePlaces, (const std::string& a, const std::string& b)) {
  RC_ASSERT(conflict_of(a, b) == conflict_of(b, a));
  RC_ASSERT(conflict_of(a, a) == Conflict::kNone || a.size() > kMaxTextBytes);
}

}  // namespace
}  // namespace payonce::semantic
