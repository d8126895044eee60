#include "base/terminal.h"

#include <gtest/gtest.h>

#include "base/log.h"

namespace payonce::base {
namespace {

TEST(Terminal, NothingThatItActsOnComesThrough) {
  EXPECT_EQ(for_terminal("a\tb\nc \u00e9 \u2603 \U0001F600"), "a\tb\nc \u00e9 \u2603 \U0001F600");
  EXPECT_EQ(for_terminal("\x1b[2J\r\x07\x7f"), "\\u001b[2J\\u000d\\u0007\\u007f");
  EXPECT_EQ(for_terminal("\u009b31m \u202e \u2028 \u2066"), "\\u009b31m \\u202e \\u2028 \\u2066");
  // Not UTF-8: a lone C1 byte, a stray tail, overlong, a surrogate, beyond the last, cut off.
  for (const char* bad : {"\x9b", "\x80", "\xc0\x8a", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x98"}) {
    const std::string shown = for_terminal(bad);
    EXPECT_TRUE(shown.starts_with("\\ufffd")) << bad;
    for (const char c : shown) EXPECT_LT(static_cast<unsigned char>(c), 0x80);
  }
}

TEST(Log, ALineIsOneLineWhateverItTells) {
  ::testing::internal::CaptureStderr();
  log_event(LogLevel::kError, "a\r\nb\x1b[0m\u0085\u202e",
            {{"name", "x\" level=\"error\u2028"}, {"bytes", "\xff\x9b"}});
  const std::string line = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  EXPECT_NE(line.find("a\\u000d\\u000ab\\u001b[0m\\u0085\\u202e"), std::string::npos) << line;
  EXPECT_NE(line.find("name=\"x\\\" level=\\\"error\\u2028\""), std::string::npos) << line;
  EXPECT_NE(line.find("bytes=\"\\ufffd\\ufffd\""), std::string::npos) << line;
}

}  // namespace
}  // namespace payonce::base
