#include "agent/workspace/secrets.h"

#include <gtest/gtest.h>

#include <string>

namespace payonce::agent {
namespace {

TEST(Secrets, PathsThatAreMadeToHoldThem) {
  for (const char* path : {"/p/.env", "/p/.env.local", "/home/a/.ssh/config", "/home/a/.aws/credentials", "/p/id_rsa",
                           "/p/tls/server.pem", "/etc/shadow", "/home/a/.netrc", "/p/release.key"})
    EXPECT_TRUE(is_secret_path(path)) << path;
  for (const char* path : {"/p/.env.example", "/p/environment.py", "/p/calc.py", "/p/keys.md", "/p/id_rsa.pub",
                           "/p/monkey", "/p/secrets_test.cc"})
    EXPECT_FALSE(is_secret_path(path)) << path;
}

TEST(Secrets, ValuesThatHoldThem) {
  const std::string letters = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V2w3X4y5Z6a7B8c9D0e1F2g3";
  for (const std::string& text :
       {"key: sk-ant-" + letters.substr(0, 40), "OPENAI_API_KEY=sk-proj-" + letters.substr(0, 48),
        "\"ghp_" + letters.substr(0, 36) + "\"", "AKIA" + std::string("IOSFODNN7EXAMPLE"),
        std::string("-----BEGIN OPENSSH PRIVATE KEY-----\\nb3Bl"), "x=glpat-" + letters.substr(0, 20)})
    EXPECT_TRUE(holds_secret(text)) << text;
  for (const std::string text :
       {"the task-force ran", "sk-learn is a library", "sk-some-very-long-branch-name-without-any-digit-in-it-at-all",
        "-----BEGIN CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----", "ghp_short", "AKIAshort",
        "disk-0123456789012345678901234567890123456789012345"})
    EXPECT_FALSE(holds_secret(text)) << text;
}

}  // namespace
}  // namespace payonce::agent
