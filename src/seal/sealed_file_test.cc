#include "seal/sealed_file.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include "base/hash.h"
#include "base/temporary_directory.h"
#include "seal/hex_fixture.h"
#include "seal/sealed_env.h"

namespace payonce::seal {
namespace {

using Mode = base::Env::Mode;

// The key of bytes 0 to 31, the salt 100 to 131, a file named questions.log with two frames; sealed by other code
// (Python's cryptography), written after docs/formats/sealed-file.md.
constexpr std::string_view kGolden =
    "5041595345414c31d368eb798dc40c7b6465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f80818283e338c8ca7a365eba"
    "506146310500000000000000000000000102030405060708fffffffe073bd286233021ceae7476d2089cbc9fd65ffa23c11f2462a8155e73"
    "4f12eeb4e958b4590f"
    "506146310e0000000500000000000000a1a2a3a4a5a6a7a8a9aaabacb12e3c30ac33b28f8a6cd4a2c7869260c07580df77ce200a56ace3e5"
    "b70de2e535b0fbe53fafb582a15a0fc5a261";

KeysPtr keys_of(const std::string& text) { return Keys::parse(text, "test").value(); }
const std::string kFirst = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const std::string kSecond = std::string(64, '5');

struct Fixture {
  base::TemporaryDirectory directory;
  base::PosixEnv under;
  base::Metrics metrics;
  SealedEnv env{under, directory.path(), keys_of(kFirst), metrics};
  const std::string path = directory.path() + "/questions.log";

  std::unique_ptr<base::File> open(Mode mode = Mode::kAppend) { return env.open(path, mode).value(); }
  std::string raw() const {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void set_raw(std::string_view bytes) const { std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes; }
  double faults() { return metrics.counter("payonce_sealed_faults_total").value(); }
};

std::string pattern(size_t size, uint64_t seed = 1) {
  std::mt19937_64 random(seed);
  std::string out(size, '\0');
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

std::string content(const base::File& file) {
  std::string out(file.size().value(), '\0');
  EXPECT_EQ(file.read_at(0, out.data(), out.size()).value_or(0), out.size());
  return out;
}

TEST(SealedFile, IsWhatOtherCodeSealsByTheSameDocument) {
  Fixture f;
  f.set_raw(from_hex(kGolden));
  EXPECT_EQ(content(*f.open()), "hello, sealed world");
}

TEST(SealedFile, HoldsNothingOfItsTextAndNoTwoAreAlike) {
  Fixture f;
  const std::string canary = "the canary sings at dawn";
  ASSERT_TRUE(f.open()->append(canary + canary));
  const std::string raw = f.raw();
  EXPECT_EQ(raw.find(canary.substr(0, 6)), std::string::npos);
  EXPECT_EQ(raw.size(), kFileHeaderBytes + FrameHead{.size = 48}.sealed_bytes());
  std::filesystem::remove(f.path);
  ASSERT_TRUE(f.open()->append(canary + canary));
  EXPECT_NE(f.raw().substr(kFileHeaderBytes), raw.substr(kFileHeaderBytes));
}

TEST(SealedFile, IsAFileToItsUser) {
  rc::check("against a string: append, reopen, truncate, read", [] {
    Fixture f;
    std::string model;
    auto file = f.open();
    const auto steps = *rc::gen::inRange(1, 25);
    for (int i = 0; i < steps; ++i) {
      const auto size = static_cast<size_t>(*rc::gen::oneOf(rc::gen::inRange(0, 40), rc::gen::inRange(0, 20'000)));
      switch (*rc::gen::inRange(0, 4)) {
        case 0: file = f.open(); break;
        case 1:
          model.resize(std::min(model.size(), size));
          RC_ASSERT(file->truncate(model.size()).has_value());
          break;
        default:
          const std::string more = pattern(size, static_cast<uint64_t>(i) + size);
          RC_ASSERT(file->append(more).has_value());
          model += more;
      }
      RC_ASSERT(file->size() == model.size());
      const auto from = *rc::gen::inRange<size_t>(0, model.size() + 2);
      std::string got(*rc::gen::inRange<size_t>(0, 12'000), '?');
      const auto count = file->read_at(from, got.data(), got.size());
      RC_ASSERT(count.has_value());
      RC_ASSERT(got.substr(0, *count) == (from < model.size() ? model.substr(from, got.size()) : ""));
    }
    RC_ASSERT(content(*f.open(Mode::kReadOnly)) == model);
    RC_ASSERT(f.faults() == 0);
  });
}

// Frames of many sizes; then one bit flips, and whatever is read is right or is said to be wrong.
TEST(SealedFile, AFlippedBitIsNeverRead) {
  Fixture f;
  const std::vector<size_t> sizes = {1, 100, 5000, 4096, 3, 9000, 20};
  std::string model;
  {
    auto file = f.open();
    for (const size_t size : sizes) {
      ASSERT_TRUE(file->append(pattern(size, size)));
      model += pattern(size, size);
    }
  }
  const std::string good = f.raw();
  std::mt19937_64 random(20261126);
  for (int round = 0; round < 600; ++round) {
    std::string damaged = good;
    const size_t at = random() % good.size();
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random() % 8));
    f.set_raw(damaged);
    const double before = f.faults();
    auto file = f.env.open(f.path, Mode::kReadOnly);
    if (!file) {
      EXPECT_LT(at, kFileHeaderBytes);
      continue;
    }
    ASSERT_GE(at, kFileHeaderBytes);
    std::string back((*file)->size().value(), '\0');
    EXPECT_TRUE((*file)->read_past_damage(0, back.data(), back.size()));
    ASSERT_NE(back, model) << "a bit at " << at << " does not matter";
    size_t wrong = 0;
    for (size_t i = 0; i < back.size(); ++i) {
      if (back[i] == model[i]) continue;
      ASSERT_EQ(back[i], '\0') << at;
      ++wrong;
    }
    EXPECT_LE(wrong, 9000u) << "one frame at most is lost";
    const bool at_end = back.size() < model.size();  // the last head: it looks like a torn tail
    EXPECT_TRUE(at_end || f.faults() > before) << at;
    std::string strict(back.size(), '\0');
    const auto checked = (*file)->read_at(0, strict.data(), strict.size());
    EXPECT_TRUE(at_end || (!checked && checked.error().code == base::Code::kCorrupt)) << at;
  }
}

TEST(SealedFile, FramesCannotBeMovedNorTakenFromAnotherFile) {
  Fixture f;
  const std::string a = pattern(500, 1), b = pattern(500, 2);
  {
    auto file = f.open();
    ASSERT_TRUE(file->append(a) && file->append(b));
  }
  const std::string raw = f.raw();
  const size_t frame = FrameHead{.size = 500}.sealed_bytes();
  const std::string header = raw.substr(0, kFileHeaderBytes), first = raw.substr(kFileHeaderBytes, frame),
                    second = raw.substr(kFileHeaderBytes + frame);
  const auto read = [&](const std::string& path) {
    std::string out(1000, '\0');
    const auto file = f.env.open(path, Mode::kReadOnly);
    if (file) (void)(*file)->read_past_damage(0, out.data(), out.size());
    return out;
  };
  const std::string none(500, '\0');
  f.set_raw(header + second + first);  // swapped: the one that comes too early is not taken for the other
  EXPECT_EQ(read(f.path), none + b);
  f.set_raw(header + first + first);  // said again
  EXPECT_EQ(read(f.path), a + none);
  f.set_raw(header + second);
  EXPECT_EQ(read(f.path), none + b);
  // Under another name, and behind the header of another file.
  f.set_raw(raw);
  const std::string other = f.directory.path() + "/prefix.state";
  std::filesystem::copy_file(f.path, other);
  EXPECT_EQ(read(other), none + none);
  std::filesystem::remove(other);
  ASSERT_TRUE(f.env.open(other, Mode::kAppend).value()->append(a));
  std::ofstream(other, std::ios::binary | std::ios::app) << second;
  EXPECT_EQ(read(other), a + none);
}

// A tail that was torn and written again: other bytes in the same place must not share a nonce.
TEST(SealedFile, ATornTailIsCutOffAndNoNonceComesAgain) {
  Fixture f;
  ASSERT_TRUE(f.open()->append("kept"));
  const size_t whole = f.raw().size();
  std::set<std::string> nonces;
  for (int round = 0; round < 50; ++round) {
    {
      auto file = f.open();
      EXPECT_EQ(content(*file), "kept");
      ASSERT_TRUE(file->append("lost " + std::to_string(round)));
    }
    const std::string raw = f.raw();
    EXPECT_TRUE(nonces.insert(raw.substr(whole + 16, 12)).second);
    std::filesystem::resize_file(f.path, whole + 1 + static_cast<size_t>(round));
  }
  EXPECT_EQ(f.faults(), 0);
}

TEST(SealedFile, AHeaderThatWasTornIsNoFileYet) {
  Fixture f;
  ASSERT_TRUE(f.open()->append("one"));
  std::filesystem::resize_file(f.path, 30);
  EXPECT_EQ(f.open(Mode::kReadOnly)->size(), 0u);
  ASSERT_TRUE(f.open()->append("two"));
  EXPECT_EQ(content(*f.open()), "two");
}

TEST(SealedFile, WithoutItsKeyIsRefusedByName) {
  Fixture f;
  ASSERT_TRUE(f.open()->append("one"));
  SealedEnv other(f.under, f.directory.path(), keys_of(kSecond), f.metrics);
  const auto file = other.open(f.path, Mode::kAppend);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, base::Code::kForbidden);
  EXPECT_NE(file.error().message.find("under key d368eb798dc40c7b"), std::string::npos) << file.error().message;
  SealedEnv both(f.under, f.directory.path(), keys_of(kSecond + " " + kFirst), f.metrics);
  EXPECT_EQ(content(**both.open(f.path, Mode::kAppend)), "one");
  f.set_raw("plain text that nobody sealed, long enough for a header of ours");
  EXPECT_EQ(f.env.open(f.path, Mode::kAppend).error().code, base::Code::kCorrupt);
}

TEST(SealedEnv, WritesAtomicallyAndStaysBelowItsRoot) {
  Fixture f;
  ASSERT_TRUE(base::write_file_atomic(f.env, f.path, "state"));
  EXPECT_EQ(base::read_file(f.env, f.path), "state");
  EXPECT_FALSE(f.env.rename(f.path, f.directory.path() + "/prefix.state"));
  EXPECT_FALSE(f.env.open("/tmp/elsewhere", Mode::kReadOnly));
}

}  // namespace
}  // namespace payonce::seal
