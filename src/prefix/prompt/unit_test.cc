#include "prefix/prompt/unit.h"

#include <gtest/gtest.h>

namespace payonce::prefix {
namespace {

TEST(UnitTest, MarkersGoAndNothingElse) {
  EXPECT_EQ(without_markers(R"({"name":"a", "cache_control":{"type":"ephemeral"}, "input_schema":{}})"),
            R"({"name":"a", "input_schema":{}})");
  EXPECT_EQ(without_markers(R"([{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}])"),
            R"([{"type":"text","text":"x"}])");
  EXPECT_EQ(without_markers(R"({"role":"user","content":[{"cache_control":{}, "text":"x"},{"text":"y"}]})"),
            R"({"role":"user","content":[{"text":"x"},{"text":"y"}]})");
  EXPECT_EQ(without_markers(R"("cache_control")"), R"("cache_control")");
}

TEST(UnitTest, AMemberOfThatNameInsideAToolsInputStays) {
  const std::string call = R"({"role":"assistant","content":[{"type":"tool_use","input":{"cache_control":1}}]})";
  EXPECT_EQ(without_markers(call), call);
}

TEST(UnitTest, MarkersArePutIn) {
  const auto marked = [](std::string_view json, uint32_t part) {
    return with_marker(json, part, "cache_control", R"({"type":"ephemeral"})", "text");
  };
  EXPECT_EQ(marked(R"({"name":"a"})", 0), R"({"name":"a","cache_control":{"type":"ephemeral"}})");
  EXPECT_EQ(marked(R"({"role":"user","content":"h\u0069"})", 0),
            R"({"role":"user","content":[{"type":"text","text":"h\u0069","cache_control":{"type":"ephemeral"}}]})");
  EXPECT_EQ(marked(R"("sys")", 0), R"([{"type":"text","text":"sys","cache_control":{"type":"ephemeral"}}])");
  EXPECT_EQ(marked(R"({"role":"user","content":[{"text":"x"},{"text":"y"}]})", 1),
            R"({"role":"user","content":[{"text":"x"},{"text":"y","cache_control":{"type":"ephemeral"}}]})");
  EXPECT_EQ(marked(R"({"role":"user","content":[{"text":"x"}]})", 1), "");
}

TEST(UnitTest, AStringSaysWhatItsOneTextPartSays) {
  const std::string plain = R"({"role":"user","content":"hi"})";
  EXPECT_TRUE(same_unit(plain, R"({"content":[{"text":"h\u0069","type":"text"}],"role":"user"})"));
  EXPECT_FALSE(same_unit(plain, R"({"role":"assistant","content":[{"type":"text","text":"hi"}]})"));
  EXPECT_FALSE(same_unit(plain, R"({"role":"user","content":[{"type":"text","text":"ho"}]})"));
  EXPECT_FALSE(same_unit(plain, R"({"role":"user","content":[{"type":"text","text":"hi","citations":1}]})"));
  EXPECT_TRUE(same_unit(R"("s")", R"([{"type":"text","text":"s"}])"));
}

}  // namespace
}  // namespace payonce::prefix
