#include "prompt_cache/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include "llm/prices.h"
#include "source_tree/source_tree.h"

namespace payonce::prompt_cache {
namespace {

const Provider& provider(std::string_view id) {
  const Provider* row = Providers::built_in().find(id);
  EXPECT_NE(row, nullptr) << id;
  return *row;
}

std::string detected(std::string_view url, std::string_view model, Wire wire = Wire::kOpenAi) {
  return Providers::built_in().detect(url, model, wire)->id;
}

TEST(Providers, HaveARowForEachSurfaceAndEachRowIsSound) {
  std::set<std::string> ids;
  for (const Provider& row : Providers::built_in().all()) {
    SCOPED_TRACE(row.id);
    EXPECT_TRUE(ids.insert(row.id).second);
    EXPECT_EQ(row.order.size(), 3u);
    EXPECT_TRUE(row.short_ttl || row.long_ttl);
    EXPECT_GE(row.increment_tokens, 1);
    EXPECT_FALSE(row.sources.empty());
    EXPECT_FALSE(row.as_of.empty());
    EXPECT_TRUE(row.alternative.empty() || Providers::built_in().find(row.alternative) != nullptr);
    if (row.match == Match::kWrittenPositions) {
      EXPECT_GE(row.max_breakpoints, 1);
      EXPECT_GE(row.lookback, 1);
    }
  }
  for (const char* id :
       {"anthropic",     "openai_gpt56plus", "openai_older",  "gemini",       "gemini_explicit", "deepseek",
        "xai",           "moonshot",         "qwen_explicit", "minimax",      "mistral",         "groq",
        "zai",           "fireworks",        "together",      "bedrock_nova", "bedrock_claude",  "vertex_claude",
        "azure_openai",  "openrouter",       "vllm",          "sglang",       "llamacpp",        "payonce",
        "qwen_implicit", "unknown"})
    EXPECT_TRUE(ids.contains(id)) << id;
}

struct Expected {
  const char* provider;
  const char* model;
  int64_t min_tokens;
  double read;
};

TEST(Rules, OfAModelAreThoseOfItsFamily) {
  for (const Expected& want : {Expected{"anthropic", "claude-opus-4-6", 4096, 0.1},
                               {"anthropic", "claude-opus-5-5-20261001", 512, 0.05},
                               {"anthropic", "claude-fable-5-1", 512, 0.025},
                               {"anthropic", "claude-sonnet-4-5-20250929", 1024, 0.1},
                               {"anthropic", "claude-3-5-haiku-20241022", 2048, 0.1},
                               {"anthropic", "claude-opus-4-7", 2048, 0.1},
                               {"bedrock_claude", "us.anthropic.claude-opus-4-7-v1:0", 4096, 0.1},
                               {"bedrock_claude", "anthropic.claude-opus-4-6-v1", 4096, 0.1},
                               {"openai_gpt56plus", "gpt-6.1-sol", 1024, 0.05},
                               {"openai_older", "openai/gpt-4o-mini", 1024, 0.5},
                               {"openai_older", "gpt-5.4-pro", 1024, 1.0},
                               {"qwen_explicit", "qwen3.8-max", 1024, 0.1},
                               {"qwen_implicit", "qwen3.8-max", 1024, 0.125},
                               {"deepseek", "deepseek-v4-flash", 64, 0.02}}) {
    const Rule rule = rule_for(provider(want.provider), want.model);
    EXPECT_EQ(rule.min_tokens, want.min_tokens) << want.model;
    EXPECT_DOUBLE_EQ(rule.read_factor, want.read) << want.model;
  }
  EXPECT_EQ(rule_for(provider("openai_older"), "gpt-5.5").increment_tokens, 2048);
  EXPECT_EQ(rule_for(provider("openai_older"), "gpt-5.4").increment_tokens, 128);
  EXPECT_DOUBLE_EQ(rule_for(provider("anthropic"), "claude-opus-4-6").ttl(Ttl::kLong).write_factor, 2.0);
}

// The row that serves a model of the price table; null for those of makers without a row.
const Provider* row_of_priced(std::string_view model) {
  constexpr std::pair<std::string_view, std::string_view> kPrefixes[] = {{"anthropic.", "bedrock_claude"},
                                                                         {"amazon.nova", "bedrock_nova"},
                                                                         {"azure/", ""},
                                                                         {"dashscope/", "qwen_implicit"},
                                                                         {"deepseek", "deepseek"},
                                                                         {"fireworks_ai/", "fireworks"},
                                                                         {"groq/", "groq"},
                                                                         {"minimax/", "minimax"},
                                                                         {"mistral/", "mistral"},
                                                                         {"moonshot/", "moonshot"},
                                                                         {"together_ai/", "together"},
                                                                         {"xai/", "xai"},
                                                                         {"zai/", "zai"},
                                                                         {"cerebras/", "unknown"},
                                                                         {"chat-latest", "openai_older"}};
  const Wire wire = model.starts_with("claude") ? Wire::kAnthropic : Wire::kOpenAi;
  for (const auto& [prefix, id] : kPrefixes)
    if (model.starts_with(prefix) && !id.empty()) return Providers::built_in().find(id);
  return Providers::built_in().detect("http://localhost", model, wire);
}

// Two tables, one truth: where the price table has a price for cached tokens, the factors must be the quotients.
TEST(Rules, AgreeWithTheListPrices) {
  std::ifstream file(source_tree::path("src/llm/data/prices.json"));
  std::ostringstream text;
  text << file.rdbuf();
  const boost::json::value table = boost::json::parse(text.str());
  size_t compared = 0;
  for (const auto& [name, value] : table.at("models").as_object()) {
    const boost::json::object& price = value.as_object();
    const Provider* row = row_of_priced(name);
    if (row == nullptr || !price.contains("cache_read") || price.at("in").to_number<double>() == 0) continue;
    SCOPED_TRACE(std::string(name));
    const double input = price.at("in").to_number<double>();
    const Rule rule = rule_for(*row, name);
    EXPECT_NEAR(price.at("cache_read").to_number<double>() / input, rule.read_factor, 0.012);
    const auto factor = [&](const char* field) {
      return price.contains(field) ? price.at(field).to_number<double>() / input : -1;
    };
    const double write_short = row->match == Match::kWrittenPositions ? factor("cache_write") : -1;
    EXPECT_NEAR(write_short < 0 ? rule.short_ttl.write_factor : write_short, rule.short_ttl.write_factor, 0.012);
    const double write_long = factor("cache_write_1h");
    EXPECT_NEAR(write_long < 0 ? rule.long_ttl.write_factor : write_long, rule.long_ttl.write_factor, 0.012);
    ++compared;
  }
  EXPECT_GT(compared, 150u);
}

TEST(Detection, GoesByHostThenByModel) {
  EXPECT_EQ(detected("https://api.anthropic.com", "claude-opus-5", Wire::kAnthropic), "anthropic");
  EXPECT_EQ(detected("https://api.openai.com/v1", "gpt-5.6-sol"), "openai_gpt56plus");
  EXPECT_EQ(detected("https://eu.api.openai.com/v1", "gpt-6-luna"), "openai_gpt56plus");
  EXPECT_EQ(detected("https://api.openai.com/v1", "gpt-5.5"), "openai_older");
  EXPECT_EQ(detected("https://api.openai.com/v1", "gpt-4o-2024-08-06"), "openai_older");
  EXPECT_EQ(detected("https://x.openai.azure.com/openai", "gpt-6-sol"), "azure_openai_gpt56plus");
  EXPECT_EQ(detected("https://bedrock-runtime.eu-west-1.amazonaws.com", "eu.anthropic.claude-sonnet-5"),
            "bedrock_claude");
  EXPECT_EQ(detected("https://bedrock-runtime.eu-west-1.amazonaws.com", "amazon.nova-lite-v1:0"), "bedrock_nova");
  EXPECT_EQ(detected("https://europe-west1-aiplatform.googleapis.com/v1", "claude-opus-5@default", Wire::kAnthropic),
            "vertex_claude");
  EXPECT_EQ(detected("https://openrouter.ai/api/v1", "anthropic/claude-opus-5"), "anthropic");
  EXPECT_EQ(detected("https://openrouter.ai/api/v1", "openai/gpt-oss-120b"), "openrouter");
  EXPECT_EQ(detected("https://api.minimax.io/anthropic", "MiniMax-M3", Wire::kAnthropic), "minimax_explicit");
  EXPECT_EQ(detected("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "qwen3.8-max"), "qwen_implicit");
}

TEST(Detection, OfAnUnknownHostTrustsOnlyNamesThatOneMakerServes) {
  EXPECT_EQ(detected("http://127.0.0.1:4000", "claude-opus-5", Wire::kAnthropic), "anthropic");
  EXPECT_EQ(detected("http://127.0.0.1:4000", "claude-opus-5", Wire::kOpenAi), "unknown");
  EXPECT_EQ(detected("http://localhost:8000/v1", "gpt-5.6"), "openai_gpt56plus");
  EXPECT_EQ(detected("http://localhost:8000/v1", "openai/gpt-oss-20b"), "unknown");
  EXPECT_EQ(detected("http://localhost:8000/v1", "llama-3.3-70b"), "unknown");
  EXPECT_EQ(detected("http://localhost:8000", "qwen3", Wire::kAnthropic), "unknown_anthropic");
  // A host that only looks like one.
  EXPECT_EQ(detected("https://api.openai.com.evil.example/v1", "llama"), "unknown");
}

TEST(Patterns, MatchWithStars) {
  EXPECT_TRUE(matches("*v4*flash*", "deepseek-v4-flash"));
  EXPECT_TRUE(matches("GPT-5*", "gpt-5.1"));
  EXPECT_TRUE(matches("*", ""));
  EXPECT_FALSE(matches("gpt-4", "gpt-4o"));
  EXPECT_FALSE(matches("*-pro*", "gpt-5"));
}

TEST(Storage, CostsByDay) {
  const Rule rule = rule_for(provider("gemini_explicit"), "gemini-3.8-flash");
  const int64_t change = *llm::day_unix_ms("2027-01-01");
  EXPECT_DOUBLE_EQ(rule.storage_usd_per_mtok_hour("gemini/gemini-3.8-flash", change - 1), 0.5);
  EXPECT_DOUBLE_EQ(rule.storage_usd_per_mtok_hour("gemini/gemini-3.8-flash", change), 1.0);
  EXPECT_DOUBLE_EQ(rule.storage_usd_per_mtok_hour("gemini-4-argon", change), 0);
}

TEST(Documentation, FollowsTheTable) {
  const std::string path = source_tree::path("docs/providers.md");
  if (std::getenv("PAYONCE_UPDATE_DOCS") != nullptr) std::ofstream(path) << providers_markdown();
  std::ifstream page(path);
  std::ostringstream found;
  found << page.rdbuf();
  EXPECT_EQ(found.str(), providers_markdown())
      << "run this test once with PAYONCE_UPDATE_DOCS=1, and commit the page";
}

}  // namespace
}  // namespace payonce::prompt_cache
