#include "prefix/call_sites.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "llm/request.h"
#include "prefix/hash_fixture.h"

namespace payonce::prefix {
namespace {

const base::Hash128 kAccount = kHash("account");

// A system text of so many lines, with nothing in common with another's.
SiteView seen(CallSites& sites, int site, int lines) {
  std::string system;
  for (int i = 0; i < lines; ++i) {
    uint64_t letters = kHash(fmt::format("{} {}", site, i)).low;
    for (int letter = 0; letter < 16; ++letter, letters /= 16) {
      system += static_cast<char>('a' + letters % 16);
      if (letter % 4 == 3) system += ' ';
    }
    system += "\\n";
  }
  const auto request = llm::parse_request(
      llm::Dialect::kOpenAiChat,
      base::Bytes(fmt::format(
          R"({{"model":"m","messages":[{{"role":"system","content":"{}"}},{{"role":"user","content":"hi"}}]}})",
          system)));
  EXPECT_TRUE(request);
  const auto prompt = read_prompt(*request, kHash);
  EXPECT_TRUE(prompt);
  return sites.recognise(kAccount, *prompt, kHash);
}

TEST(CallSites, AreForgottenWhenTheirTextsTakeTooMuchMemory) {
  CallSites small(256 << 10), roomy;
  for (int site = 0; site < 60; ++site) {
    EXPECT_EQ(seen(small, site, 100).requests, 0u);
    EXPECT_EQ(seen(roomy, site, 100).requests, 0u);
  }
  EXPECT_EQ(roomy.size(), 60u);
  EXPECT_LT(small.size(), 50u);
  EXPECT_GT(small.size(), 5u);
  EXPECT_EQ(seen(small, 59, 100).requests, 1u);
  EXPECT_EQ(seen(small, 0, 100).requests, 0u);
  EXPECT_EQ(seen(roomy, 0, 100).requests, 1u);
}

TEST(CallSites, AreNoMoreThanSoManyHoweverSmall) {
  CallSites sites;
  for (int site = 0; site < static_cast<int>(CallSites::kMaxSites) + 50; ++site) (void)seen(sites, site, 1);
  EXPECT_LE(sites.size(), CallSites::kMaxSites);
  EXPECT_GT(sites.size(), CallSites::kMaxSites - 50);
}

}  // namespace
}  // namespace payonce::prefix
