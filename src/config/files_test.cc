// The files of the repository that must follow the tables of options: the manual page and the packaged
// configurations.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "config/load.h"
#include "source_tree/source_tree.h"

namespace payonce::config {
namespace {

std::optional<std::string> example_env(std::string_view name) {
  if (name == "HOME") return "/home/someone";
  if (name == "OPENAI_API_KEY") return "sk-openai";
  if (name == "ANTHROPIC_API_KEY") return "sk-anthropic";
  return std::nullopt;
}

base::Result<Settings> load_packaged(const std::string& name) {
  base::PosixEnv files;
  return load({.config_file = source_tree::path("packaging/" + name)}, example_env, files);
}

TEST(Documentation, FollowsTheTablesOfOptions) {
  const std::string path = source_tree::path("docs/configuration.md");
  if (std::getenv("PAYONCE_UPDATE_DOCS") != nullptr) std::ofstream(path) << options_markdown();
  base::PosixEnv files;
  const auto page = base::read_file(files, path);
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_EQ(*page, options_markdown()) << "run this test once with PAYONCE_UPDATE_DOCS=1, and commit the page";
}

TEST(PackagedConfiguration, TheServicesFileNeedsNoVariable) {
  const auto loaded = load_packaged("payonce.toml");
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->listen, "127.0.0.1:4141");
  ASSERT_EQ(loaded->upstreams.size(), 1u);
  EXPECT_TRUE(loaded->upstreams[0]->forward_credential);
}

TEST(PackagedConfiguration, TheExampleKeepsCallersCredentialsAway) {
  const auto loaded = load_packaged("payonce.example.toml");
  ASSERT_TRUE(loaded) << loaded.error().message;
  std::vector<std::string> names;
  for (const auto& upstream : loaded->upstreams) {
    names.push_back(upstream->name);
    EXPECT_FALSE(upstream->forward_credential) << upstream->name;
  }
  EXPECT_THAT(names, testing::ElementsAre("openai", "anthropic", "vllm"));
  EXPECT_EQ(loaded->upstreams[1]->key, "sk-anthropic");
  EXPECT_EQ(loaded->keys.size(), 2u);
  EXPECT_EQ(loaded->prices.size(), 1u);
}

}  // namespace
}  // namespace payonce::config
