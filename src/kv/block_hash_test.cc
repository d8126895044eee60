#include "kv/block_hash.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <numeric>
#include <set>
#include <string>
#include <vector>

namespace payonce::kv {
namespace {

std::vector<int32_t> tokens_up_to(int count) {
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  std::iota(tokens.begin(), tokens.end(), 0);
  return tokens;
}

// A changed golden means that every block on every disk is lost: raise the version in root_hash() on purpose.
TEST(BlockHash, IsWhatItAlwaysWas) {
  const BlockHash root = root_hash("model", "layout");
  EXPECT_EQ(base::hex(root), "ROOT");
  const BlockHash whole = chain_hash(root, "salt", tokens_up_to(kBlockTokens));
  EXPECT_EQ(base::hex(whole), "WHOLE");
  EXPECT_EQ(base::hex(chain_hash(whole, "", tokens_up_to(3))), "PART");
}

TEST(BlockHash, DiffersByModelLayoutSaltParentAndTokens) {
  const std::vector<int32_t> tokens = tokens_up_to(kBlockTokens);
  std::vector<int32_t> others = tokens;
  others.back() += 1;
  std::vector<int32_t> swapped = tokens;
  std::swap(swapped[0], swapped[1]);
  const BlockHash root = root_hash("model", "layout");
  const std::set<BlockHash> hashes = {
      chain_hash(root, "salt", tokens),
      chain_hash(root_hash("model2", "layout"), "salt", tokens),
      chain_hash(root_hash("model", "layout2"), "salt", tokens),
      chain_hash(root, "salt2", tokens),
      chain_hash(root, "", tokens),
      chain_hash(chain_hash(root, "salt", tokens), "salt", tokens),
      chain_hash(root, "salt", others),
      chain_hash(root, "salt", swapped),
  };
  EXPECT_EQ(hashes.size(), 8u);
}

TEST(BlockHash, APartialBlockHasAHashOfItsOwn) {
  const BlockHash root = root_hash("model", "layout");
  std::set<BlockHash> hashes;
  for (int count = 1; count <= kBlockTokens; ++count) hashes.insert(chain_hash(root, "salt", tokens_up_to(count)));
  EXPECT_EQ(hashes.size(), static_cast<size_t>(kBlockTokens));
}

TEST(BlockHash, NoByteMayMoveFromOnePartToTheNext) {
  EXPECT_NE(root_hash("ab", "c"), root_hash("a", "bc"));
  EXPECT_NE(root_hash("ab", ""), root_hash("", "ab"));
  // The salt's last four bytes as a token, and the other way round.
  const BlockHash root = root_hash("model", "layout");
  const std::vector<int32_t> one = {0x64636261};  // "abcd"
  const std::vector<int32_t> two = {0x64636261, 0x64636261};
  EXPECT_NE(chain_hash(root, "abcd", one), chain_hash(root, "", two));
  EXPECT_NE(chain_hash(root, "abcdabcd", one), chain_hash(root, "abcd", two));
}

RC_GTEST_PROP(BlockHash, EqualPrefixesAloneGiveEqualChains, ()) {
  const auto tokens = *rc::gen::nonEmpty<std::vector<int32_t>>();
  auto other = tokens;
  const auto at = *rc::gen::inRange<size_t>(0, tokens.size());
  other[at] ^= 1 << *rc::gen::inRange(0, 31);
  BlockHash a = root_hash("m", "l");
  BlockHash b = a;
  for (size_t start = 0; start < tokens.size(); start += kBlockTokens) {
    const size_t count = std::min<size_t>(kBlockTokens, tokens.size() - start);
    a = chain_hash(a, "s", std::span(tokens).subspan(start, count));
    b = chain_hash(b, "s", std::span(other).subspan(start, count));
    RC_ASSERT((a == b) == (at >= start + count));
  }
}

}  // namespace
}  // namespace payonce::kv
