#include "seal/sealer.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "seal/hex_fixture.h"

namespace payonce::seal {
namespace {

// RFC 5869, appendix A, test cases 1 and 3: the first 32 bytes of the output.
TEST(Derive, IsHkdfAsTheRfcHasIt) {
  const std::string key(22, '\x0b');
  EXPECT_EQ(base::hex(derive(key, from_hex("000102030405060708090a0b0c"), from_hex("f0f1f2f3f4f5f6f7f8f9"))),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
  EXPECT_EQ(base::hex(derive(key, "", "")), "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
}

TEST(Nonce, CountsInItsLastFourBytesAlone) {
  const Nonce nonce{1, 2, 3, 4, 5, 6, 7, 8, 0xff, 0xff, 0xff, 0xfe};
  EXPECT_EQ(advanced(nonce, 0), nonce);
  EXPECT_EQ(advanced(nonce, 3), (Nonce{1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 1}));
}

TEST(Sealer, AnyOtherBitIsRefused) {
  const Key key({7});
  rc::check("round trip, and any flipped bit fails", [&](const std::string& plain, const std::string& bound) {
    const Sealer sealer(key, std::string(kSaltBytes, 's'), "file");
    const Nonce nonce = random_nonce();
    std::string sealed(plain.size() + kTagBytes, '\0'), back(plain.size(), '\0');
    Session(sealer, Session::Way::kSeal).seal(nonce, bound, plain, sealed.data());
    Session opener(sealer, Session::Way::kOpen);
    RC_ASSERT(opener.open(nonce, bound, sealed, back.data()) && back == plain);

    std::string damaged = sealed;
    const auto bit = *rc::gen::inRange<size_t>(0, sealed.size() * 8);
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    RC_ASSERT(!opener.open(nonce, bound, damaged, back.data()) && back == std::string(plain.size(), '\0'));
    RC_ASSERT(!opener.open(nonce, bound + "x", sealed, back.data()));
    RC_ASSERT(!opener.open(advanced(nonce, 1), bound, sealed, back.data()));
    RC_ASSERT(!opener.open(nonce, bound, std::string_view(sealed).substr(0, sealed.size() - 1), back.data()));
    for (const auto& [salt, purpose] : {std::pair{'t', "file"}, std::pair{'s', "fila"}}) {
      const Sealer other(key, std::string(kSaltBytes, salt), purpose);
      RC_ASSERT(!Session(other, Session::Way::kOpen).open(nonce, bound, sealed, back.data()));
    }
    const Sealer other(Key({8}), std::string(kSaltBytes, 's'), "file");
    RC_ASSERT(!Session(other, Session::Way::kOpen).open(nonce, bound, sealed, back.data()));
  });
}

TEST(Sealer, AMarkIsOfItsTextAndItsKey) {
  const Key key({7});
  const Sealer sealer(key, std::string(kSaltBytes, 's'), "file");
  EXPECT_EQ(sealer.mark("u-1"), sealer.mark("u-1"));
  EXPECT_NE(sealer.mark("u-1"), sealer.mark("u-2"));
  EXPECT_NE(sealer.mark("u-1"), Sealer(key, std::string(kSaltBytes, 't'), "file").mark("u-1"));
}

}  // namespace
}  // namespace payonce::seal
