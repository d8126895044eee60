#include "prefix/context/documents.h"

#include <gtest/gtest.h>

#include <string>

namespace payonce::prefix {
namespace {

std::string words(const std::string& about) {
  return about + " is described here at some length, so that it is no list of steps";
}

std::string at(const std::string& text, const Document& document) {
  return text.substr(document.begin, document.size);
}

TEST(Documents, TaggedOnesAreFoundWithWhatEnclosesThem) {
  const std::string text = "Use these.\n\n<documents>\n<document index=\"1\">\n" + words("A") +
                           "\n</document>\n<document index=\"7\">\n" + words("B") +
                           "\n</document>\n</documents>\n\nWho is A?";
  const auto run = documents_of(text);
  ASSERT_TRUE(run);
  ASSERT_EQ(run->documents.size(), 2u);
  EXPECT_EQ(run->documents[1].name, "document 7");
  EXPECT_TRUE(run->may_change_order);
  EXPECT_EQ(text.substr(0, run->begin), "Use these.\n\n");
  EXPECT_EQ(text.substr(run->end), "\n\nWho is A?");
  EXPECT_TRUE(at(text, run->documents[0]).starts_with("<document index=\"1\">"));
  EXPECT_TRUE(at(text, run->documents[0]).ends_with("</document>"));
}

TEST(Documents, LabelledOnesEndWhereTheQuestionBegins) {
  const std::string text = "Context:\n[1] " + words("A") + "\n\nand more of A\n\n[4] " + words("B") +
                           "\n\nmore of B\n\n" + "Question: who?";
  const auto run = documents_of(text);
  ASSERT_TRUE(run);
  ASSERT_EQ(run->documents.size(), 2u);
  EXPECT_EQ(run->documents[1].name, "[4]");
  EXPECT_TRUE(at(text, run->documents[0]).ends_with("and more of A"));
  EXPECT_TRUE(at(text, run->documents[1]).ends_with("more of B"));
  EXPECT_EQ(run->begin, 0u);  // the heading belongs to them
}

TEST(Documents, LabelledOnesInsideATagAreTheDocuments) {
  const std::string text =
      "<context>\nDocument 1: " + words("A") + "\n---\nDocument 2: " + words("B") + "\n</context>\n\nWhy?";
  const auto run = documents_of(text);
  ASSERT_TRUE(run);
  ASSERT_EQ(run->documents.size(), 2u);
  EXPECT_EQ(run->documents[0].name, "Document 1");
  EXPECT_EQ(text.substr(run->end), "\n\nWhy?");
}

TEST(Documents, BelowAHeadingRulesSetThemApart) {
  const std::string text = "## Context:\n" + words("A") + "\n\nstill A\n---\n" + words("B") + "\n\n## Question\nWho?";
  const auto run = documents_of(text);
  ASSERT_TRUE(run);
  ASSERT_EQ(run->documents.size(), 2u);
  EXPECT_TRUE(run->documents[0].name.empty());
  EXPECT_EQ(text.substr(run->end), "\n\n## Question\nWho?");
}

TEST(Documents, WithoutSeparatorsItIsOne) {
  const std::string text = "Context:\n" + words("A") + "\n\nstill A\n\nQuestion: who?";
  const auto run = documents_of(text);
  ASSERT_TRUE(run);
  EXPECT_EQ(run->documents.size(), 1u);
  EXPECT_FALSE(run->may_change_order);
}

TEST(Documents, DoubtMeansNone) {
  const std::string a = words("A"), b = words("B");
  for (const std::string& text : std::initializer_list<std::string>{
           "Cite from the <document> tags.\n\n<document>" + a + "</document>",     // talked about
           "<document>" + a + "<document>" + b + "</document></document>",         // one in another
           "<document>" + a + "</document>\nbut\n<document>" + b + "</document>",  // words between
           "<document>" + a + "</document>\n<document>" + b,                       // one does not end
           "Steps:\n\n[1] open it\n\n[2] close it\n\nthat is all, nothing more to say here, really nothing",
           "[1] " + a + "\n\nstill A\n\n[2] " + b + "\n\nstill B, or the question?",  // where does B end?
           "[1] " + a + "\n\n[1] " + b + "\n\nQuestion: who?",                        // the same name twice
           "as in [1] " + a + "\n[2] is not at all so",
           a + b,
       })
    EXPECT_FALSE(documents_of(text)) << text;
}

TEST(Documents, OtherBytesBetweenThemForbidAnotherOrder) {
  const auto run =
      documents_of("<doc>" + words("A") + "</doc>\n<doc>" + words("B") + "</doc>\n\n<doc>" + words("C") + "</doc>");
  ASSERT_TRUE(run);
  EXPECT_EQ(run->documents.size(), 3u);
  EXPECT_FALSE(run->may_change_order);
}

}  // namespace
}  // namespace payonce::prefix
