#include "seal/reseal.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "base/directory_lock.h"
#include "base/log.h"
#include "base/temporary_directory.h"
#include "seal/sealed_env.h"

namespace payonce::seal {
namespace {

namespace fs = std::filesystem;

const Places kPlaces{.files = {"salt", "questions.log"}, .folders = {{"responses", ".log"}}};
const std::string kSalt = "a salt that is long enough", kQuestions(3 << 20, 'q'), kAnswers(70'000, 'a');

class Reseal : public testing::Test {
 protected:
  void SetUp() override {
    base::configure_log(base::LogLevel::kOff, base::LogFormat::kText);
    fs::create_directories(root_ + "/responses");
    std::ofstream(root_ + "/salt") << kSalt;
    std::ofstream(root_ + "/questions.log") << kQuestions;
    std::ofstream(root_ + "/responses/0000000007.log") << kAnswers;
    std::ofstream(root_ + "/responses/notes.txt") << "not ours";
    std::ofstream(root_ + "/requests.log") << "recorded";
  }
  void TearDown() override { base::configure_log(base::LogLevel::kInfo, base::LogFormat::kText); }

  static Protection under(const std::string& keys, bool take_plaintext = true) {
    return {.keys = keys.empty() ? nullptr : Keys::parse(keys, "test").value(), .take_plaintext = take_plaintext};
  }
  base::Result<Survey> look(const Protection& protection) { return survey(env_, root_, kPlaces, protection); }
  void seal(const Protection& protection) {
    const auto found = look(protection);
    ASSERT_TRUE(found) << found.error().message;
    const auto done = reseal(env_, root_, *found, protection.keys, metrics_);
    ASSERT_TRUE(done) << done.error().message;
  }
  void expect_content(const Protection& protection) {
    SealedEnv sealed(env_, root_, protection.keys, metrics_);
    EXPECT_TRUE(base::read_file(sealed, root_ + "/salt") == kSalt);
    EXPECT_TRUE(base::read_file(sealed, root_ + "/questions.log") == kQuestions);
    EXPECT_TRUE(base::read_file(sealed, root_ + "/responses/0000000007.log") == kAnswers);
    EXPECT_TRUE(base::read_file(env_, root_ + "/requests.log") == "recorded");
    EXPECT_TRUE(base::read_file(env_, root_ + "/responses/notes.txt") == "not ours");
  }
  std::map<std::string, std::string> bytes() {
    std::map<std::string, std::string> out;
    for (const auto& entry : fs::recursive_directory_iterator(root_))
      if (entry.is_regular_file()) out[entry.path()] = base::read_file(env_, entry.path()).value();
    return out;
  }

  base::TemporaryDirectory directory_;
  const std::string root_ = directory_.path();
  base::PosixEnv env_;
  base::Metrics metrics_;
  const std::string first_ = std::string(64, '1'), second_ = std::string(64, '2'), third_ = std::string(64, '3');
};

TEST_F(Reseal, WhatWasPlainIsSealedAndIsTheSame) {
  EXPECT_EQ(look(under(first_))->plain.size(), 3u);
  seal(under(first_));
  expect_content(under(first_));
  for (const auto& [path, text] : bytes())
    EXPECT_TRUE(text.find("aaaa") == std::string::npos && text.find("qqqq") == std::string::npos) << path;
  EXPECT_EQ(look(under(first_))->sealed, 3u);
  const auto before = bytes();
  seal(under(first_));
  EXPECT_EQ(bytes(), before) << "sealed already, and written again";
}

TEST_F(Reseal, ANewFirstKeyTakesOver) {
  seal(under(first_));
  seal(under(second_ + " " + first_));
  expect_content(under(second_));
  EXPECT_FALSE(look(under(first_)));
}

TEST_F(Reseal, AMissingKeyIsNamedAndNoByteChanges) {
  seal(under(first_));
  const auto before = bytes();
  for (const std::string& keys : {second_ + " " + third_, std::string()}) {
    const auto found = look(under(keys));
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, base::Code::kForbidden);
    EXPECT_NE(found.error().message.find("encryption.key_file"), std::string::npos) << found.error().message;
  }
  EXPECT_EQ(bytes(), before);
}

TEST_F(Reseal, PlainFilesAreRefusedWhereTheyAreNotExpected) {
  EXPECT_EQ(look(under(first_, false)).error().code, base::Code::kForbidden);
  seal(under(first_));
  EXPECT_TRUE(look(under(first_, false)));
  std::ofstream(root_ + "/responses/0000000008.log") << "slipped in";
  EXPECT_NE(look(under(first_, false)).error().message.find("0000000008.log"), std::string::npos);
}

TEST_F(Reseal, GoesOnWhereACrashEndedIt) {
  const auto found = look(under(first_));
  Survey half = *found;
  half.plain.pop_back();
  ASSERT_TRUE(reseal(env_, root_, half, under(first_).keys, metrics_));
  std::ofstream(root_ + "/responses/0000000007.log.new") << "half of it";
  std::ofstream(root_ + "/salt.new") << kSalt;  // by a crash of a run without a key
  seal(under(first_));
  expect_content(under(first_));
  EXPECT_FALSE(fs::exists(root_ + "/salt.new"));
}

TEST_F(Reseal, WaitsForNoOtherProcessButSaysSo) {
  const auto lock = base::DirectoryLock::take(root_ + "/responses");
  ASSERT_TRUE(lock);
  const auto found = look(under(first_));
  const auto done = reseal(env_, root_, *found, under(first_).keys, metrics_);
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find("is in use"), std::string::npos) << done.error().message;
  EXPECT_TRUE(base::read_file(env_, root_ + "/responses/0000000007.log") == kAnswers);
}

}  // namespace
}  // namespace payonce::seal
