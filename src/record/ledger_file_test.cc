#include "record/ledger_file.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>

#include "base/hash.h"
#include "base/log.h"
#include "base/temporary_directory.h"

namespace payonce::record {
namespace {

namespace fs = std::filesystem;

class LedgerFileTest : public testing::Test {
 protected:
  void SetUp() override { base::configure_log(base::LogLevel::kOff, base::LogFormat::kText); }
  void TearDown() override { base::configure_log(base::LogLevel::kInfo, base::LogFormat::kText); }

  static seal::Protection under(const std::string& digits, bool take_plaintext = true) {
    std::string keys;
    for (const char digit : digits) keys += std::string(64, digit) + " ";
    return {.keys = digits.empty() ? nullptr : seal::Keys::parse(keys, "test").value(),
            .take_plaintext = take_plaintext};
  }
  std::unique_ptr<LedgerFile> open(const seal::Protection& protection) {
    auto file = LedgerFile::open(path_, protection);
    EXPECT_TRUE(file) << file.error().message;
    return file ? *std::move(file) : nullptr;
  }
  void fill(const seal::Protection& protection) {
    const auto file = open(protection);
    for (int i = 0; i < 2; ++i) {
      EXPECT_TRUE(file->add({{"2026-11-25\x1fu-canary\x1fgpt-canary\x1f"
                              "exact",
                              {1, 10, 2, 0.5}},
                             {"2026-11-26\x1fu-canary\x1fgpt-canary\x1f"
                              "exact",
                              {1, 10, 2, 0.5}},
                             {"2026-11-26\x1fu-other\x1fgpt-canary\x1fupstream", {1, 1, 1, 0.75}}}));
    }
  }
  void expect_filled(const seal::Protection& protection) {
    const auto file = open(protection);
    const auto rows = file->rows("", {});
    ASSERT_EQ(rows.size(), 3u);
    EXPECT_EQ(rows[0].scope, "u-other");  // the newest day, the most money
    EXPECT_EQ(rows[0].layer, "upstream");
    EXPECT_EQ(rows[2].day, "2026-11-25");
    EXPECT_EQ(rows[2].model, "gpt-canary");
    EXPECT_EQ(rows[2].requests, 2);
    EXPECT_EQ(rows[2].input_tokens, 20);
    EXPECT_DOUBLE_EQ(rows[2].usd, 1.0);
    EXPECT_EQ(file->rows("2026-11-26", "u-canary").size(), 1u);
    EXPECT_EQ(file->take_faults(), 0u);
  }
  bool shows_canary() const {
    for (const auto& entry : fs::directory_iterator(directory_.path())) {
      std::ifstream in(entry.path(), std::ios::binary);
      const std::string bytes{std::istreambuf_iterator<char>(in), {}};
      if (bytes.find("canary") != std::string::npos || bytes.find("exact") != std::string::npos) return true;
    }
    return false;
  }
  // Of the sealed rows, by hand.
  void tamper(const char* sql) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    sqlite3_close(db);
  }

  base::TemporaryDirectory directory_;
  const std::string path_ = directory_.path() + "/ledger.db";
};

TEST_F(LedgerFileTest, IsTheSameBookWithAKeyAndWithout) {
  fill(under(""));
  EXPECT_TRUE(shows_canary());
  expect_filled(under(""));
  fs::remove(path_);
  fill(under("1"));
  EXPECT_FALSE(shows_canary());
  expect_filled(under("1"));
}

TEST_F(LedgerFileTest, PlainRowsAreSealedAndTheKeyChanges) {
  fill(under(""));
  EXPECT_EQ(LedgerFile::open(path_, under("1", false)).error().code, base::Code::kForbidden);
  expect_filled(under("1"));
  EXPECT_FALSE(shows_canary());
  expect_filled(under("21"));
  expect_filled(under("2", false));
}

TEST_F(LedgerFileTest, WithoutItsKeyItStaysAsItIs) {
  fill(under("1"));
  for (const char* keys : {"2", ""}) {
    const auto file = LedgerFile::open(path_, under(keys));
    ASSERT_FALSE(file);
    EXPECT_EQ(file.error().code, base::Code::kForbidden);
    EXPECT_NE(file.error().message.find(base::hex(under("1").keys->first().id())), std::string::npos);
  }
  expect_filled(under("1"));
}

TEST_F(LedgerFileTest, RowsCannotBeMovedOrChanged) {
  fill(under("1"));
  tamper("UPDATE sealed SET box=(SELECT box FROM sealed WHERE day='2026-11-25') WHERE day='2026-11-26';");
  {
    const auto file = open(under("1"));
    EXPECT_EQ(file->rows("", {}).size(), 1u);
    EXPECT_EQ(file->take_faults(), 2u);
  }
  tamper("UPDATE sealed SET box=zeroblob(length(box)) WHERE day='2026-11-25';");
  fill(under("1"));  // a row that cannot be read begins anew
  const auto rows = open(under("1"))->rows("2026-11-25", "u-canary");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].requests, 2);
}

}  // namespace
}  // namespace payonce::record
