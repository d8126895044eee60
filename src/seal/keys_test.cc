#include "seal/keys.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "base/hash.h"
#include "base/temporary_directory.h"

namespace payonce::seal {
namespace {

const std::string kHex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const std::string kBase64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

std::string message_of(const std::string& text) {
  const auto keys = Keys::parse(text, "FILE");
  return keys ? "" : keys.error().message;
}

TEST(Keys, AreReadAsHexAndAsBase64) {
  const auto hex = Keys::parse(kHex, "FILE"), base64 = Keys::parse(kBase64 + "\n", "FILE");
  ASSERT_TRUE(hex && base64);
  EXPECT_EQ((*hex)->first().bytes(), (*base64)->first().bytes());
  EXPECT_EQ(base::hex((*hex)->first().bytes()), kHex);
  EXPECT_TRUE(Keys::parse(kBase64.substr(0, 43), "FILE"));
  EXPECT_EQ(base::hex((*hex)->first().id()), "d368eb798dc40c7b");  // made by another implementation of HKDF
}

TEST(Keys, TheFirstWritesAndAllAreFound) {
  const auto keys = Keys::parse("# new\n" + std::string(64, 'a') + "\n# old, until 2027\n" + kBase64 + "\n", "FILE");
  ASSERT_TRUE(keys) << keys.error().message;
  EXPECT_EQ(base::hex((*keys)->first().bytes()), std::string(64, 'a'));
  const auto old = Keys::parse(kHex, "FILE");
  ASSERT_NE((*keys)->find((*old)->first().id()), nullptr);
  EXPECT_EQ((*keys)->find((*old)->first().id())->bytes(), (*old)->first().bytes());
  EXPECT_EQ((*keys)->find("12345678"), nullptr);
}

TEST(Keys, WhatIsNoneIsSaidWithoutShowingIt) {
  const std::string good = kHex + "\n";
  for (const std::string& bad : {std::string("hunter2"), kHex.substr(1), kHex + "0", "x" + kHex.substr(1),
                                 kBase64.substr(0, 40), "!" + kBase64.substr(1), kBase64.substr(0, 42) + "=="}) {
    const std::string message = message_of(good + bad);
    EXPECT_NE(message.find("FILE: key 2 has " + std::to_string(bad.size()) + " characters"), std::string::npos)
        << message;
    EXPECT_NE(message.find("openssl rand -base64 32"), std::string::npos) << message;
    EXPECT_EQ(message.find(bad), std::string::npos) << message;
  }
  EXPECT_NE(message_of(" \n# nothing\n").find("no key in it"), std::string::npos);
  EXPECT_NE(message_of(kHex + " " + kBase64).find("there twice"), std::string::npos);
}

TEST(Keys, AFileThatOthersMayReadIsRefused) {
  const base::TemporaryDirectory directory;
  const std::string path = directory.path() + "/key";
  std::ofstream(path) << kBase64 << "\n";
  for (const mode_t mode : {0600U, 0400U}) {
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
    EXPECT_TRUE(Keys::read(path));
  }
  for (const mode_t mode : {0644U, 0604U, 0620U, 0606U}) {
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
    const auto keys = Keys::read(path);
    ASSERT_FALSE(keys) << mode;
    EXPECT_NE(keys.error().message.find("chmod 600 " + path), std::string::npos) << keys.error().message;
  }
  ASSERT_EQ(chmod(path.c_str(), 0440), 0);
  EXPECT_EQ(Keys::read(path).has_value(), getuid() == 0);  // root's file, as systemd gives it
  EXPECT_EQ(Keys::read(path + "x").error().code, base::Code::kNotFound);
  EXPECT_FALSE(Keys::read(directory.path()));
}

}  // namespace
}  // namespace payonce::seal
