#include "llm/json_edit.h"

#include <gtest/gtest.h>

namespace payonce::llm {
namespace {

std::string edited(std::string_view text, const std::function<void(JsonEdit&, const Tape&)>& change) {
  const auto tape = Tape::parse(text);
  EXPECT_TRUE(tape.has_value());
  JsonEdit edit(text, *tape);
  change(edit, *tape);
  return edit.apply();
}

std::string without(std::string_view text, const std::string& names) {
  return edited(text, [&](JsonEdit& edit, const Tape&) {
    edit.remove_members(0, [&](std::string_view name) { return names.find(name) != std::string::npos; });
  });
}

TEST(JsonEditTest, MembersGoWithTheirCommasAndNothingElse) {
  EXPECT_EQ(without(R"({ "a": 1 , "b": 2 , "c": 3 })", "a"), R"({ "b": 2 , "c": 3 })");
  EXPECT_EQ(without(R"({ "a": 1 , "b": 2 , "c": 3 })", "b"), R"({ "a": 1 , "c": 3 })");
  EXPECT_EQ(without(R"({ "a": 1 , "b": 2 , "c": 3 })", "c"), R"({ "a": 1 , "b": 2 })");
  EXPECT_EQ(without(R"({ "a": 1 , "b": 2 , "c": 3 })", "ab"), R"({ "c": 3 })");
  EXPECT_EQ(without(R"({ "a": 1 , "b": 2 , "c": 3 })", "bc"), R"({ "a": 1 })");
  EXPECT_EQ(without(R"({"a":1,"b":2,"c":3})", "ac"), R"({"b":2})");
  EXPECT_EQ(without(R"({"a":1,"b":2,"c":3})", "abc"), "{}");
  EXPECT_EQ(without(R"({"a":1,"a":2})", "x"), R"({"a":1,"a":2})");
}

TEST(JsonEditTest, MembersAndElementsAreAdded) {
  const auto add = [](JsonEdit& edit, const Tape&) { edit.add_member(0, "n", "[1]"); };
  EXPECT_EQ(edited("{}", add), R"({"n":[1]})");
  EXPECT_EQ(edited(R"({"a":1})", add), R"({"a":1,"n":[1]})");
  const auto insert = [](uint32_t index) {
    return [index](JsonEdit& edit, const Tape&) { edit.insert_element(0, index, "9"); };
  };
  EXPECT_EQ(edited("[]", insert(0)), "[9]");
  EXPECT_EQ(edited("[1, 2]", insert(0)), "[9,1, 2]");
  EXPECT_EQ(edited("[1, 2]", insert(1)), "[1,9, 2]");
  EXPECT_EQ(edited("[1, 2]", insert(2)), "[1, 2,9]");
}

TEST(JsonEditTest, ElementsGo) {
  const auto remove = [](uint32_t index) {
    return [index](JsonEdit& edit, const Tape&) { edit.remove_element(0, index); };
  };
  EXPECT_EQ(edited("[1, 2 ,3]", remove(0)), "[2 ,3]");
  EXPECT_EQ(edited("[1, 2 ,3]", remove(1)), "[1 ,3]");
  EXPECT_EQ(edited("[1, 2 ,3]", remove(2)), "[1, 2]");
}

TEST(JsonEditTest, EditsOfDifferentPlacesGoTogether) {
  const std::string text = R"({"a":{"x":1},"b":[1,2],"c":"old"})";
  EXPECT_EQ(edited(text,
                   [&](JsonEdit& edit, const Tape& tape) {
                     edit.replace(tape.find(text, 0, "c"), json_string("n\"e\nw\x01"));
                     edit.add_member(tape.find(text, 0, "a"), "y", "2");
                     edit.insert_element(tape.find(text, 0, "b"), 1, "7");
                   }),
            R"({"a":{"x":1,"y":2},"b":[1,7,2],"c":"n\"e\nw\u0001"})");
}

}  // namespace
}  // namespace payonce::llm
