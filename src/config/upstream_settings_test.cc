#include "config/upstream_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "config/named_settings.h"

namespace payonce::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Read {
  std::vector<route::UpstreamPtr> upstreams;
  std::vector<KeySettings> keys;
  std::map<std::string, llm::Price> prices;
  std::string problems;
};

Read read(std::string_view content, const std::map<std::string, std::string>& variables = {}) {
  const toml::table root = toml::parse(content);
  const GetEnv env = [&](std::string_view name) -> std::optional<std::string> {
    const auto found = variables.find(std::string(name));
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
  base::PosixEnv files;
  Problems problems;
  Read out;
  out.upstreams = read_upstreams(root, "payonce.toml", env, files, problems);
  out.keys = read_keys(root, "payonce.toml", problems);
  out.prices = read_prices(root, "payonce.toml", problems);
  if (const auto status = problems.status(); !status) out.problems = status.error().message;
  return out;
}

std::string file_with(const std::string& content) {
  std::string path = testing::TempDir() + "payonce-key-XXXXXX";
  const int descriptor = mkstemp(path.data());
  std::ofstream(path) << content;
  close(descriptor);
  return path;
}

TEST(Upstreams, SayWhereTheirEnginesTellOfTheirCaches) {
  const Read got = read(R"([upstreams.a]
base_url = "http://a/v1"
kv_events = "tcp://a:5557"
kv_events_replay = "ipc:///run/replay"
[upstreams.b]
base_url = "http://b/v1"
)");
  ASSERT_EQ(got.problems, "");
  EXPECT_EQ(got.upstreams[0]->kv_events, "tcp://a:5557");
  EXPECT_EQ(got.upstreams[0]->kv_events_replay, "ipc:///run/replay");
  EXPECT_EQ(got.upstreams[1]->kv_events, "");
  for (const std::string wrong : {"tcp://*:5557", "tcp://a", "a:5557", "ipc://", "http://a:1"})
    EXPECT_THAT(read("[upstreams.a]\nurl = \"http://a/v1\"\nkv_events = \"" + wrong + "\"\n").problems,
                HasSubstr("expected an endpoint such as"))
        << wrong;
  EXPECT_THAT(read("[upstreams.a]\nurl = \"http://a/v1\"\nkv_events_replay = \"tcp://a:1\"\n").problems,
              HasSubstr("set that, too"));
}

TEST(Upstreams, KeepTheOrderOfTheFile) {
  const Read got = read(R"([upstreams.zulu]
base_url = "https://z.example/v1"
[upstreams.alpha]
base_url = "https://a.example/v1"
[upstreams.mike]
base_url = "https://m.example/v1"
)");
  ASSERT_EQ(got.problems, "");
  std::vector<std::string> names;
  for (const auto& upstream : got.upstreams) names.push_back(upstream->name);
  EXPECT_THAT(names, ElementsAre("zulu", "alpha", "mike"));
}

TEST(Upstreams, EachKindHasBothBaseUrlsFromEitherSpelling) {
  const Read got = read(R"([upstreams.openai]
url = "https://api.openai.com/v1/"
[upstreams.bare]
base_url = "http://127.0.0.1:8000"
[upstreams.anthropic]
kind = "anthropic"
base_url = "https://api.anthropic.com/v1"
[upstreams.anthropic2]
kind = "anthropic"
base_url = "https://api.anthropic.com"
[upstreams.path]
base_url = "https://api.example.com/compatible/openai"
)");
  ASSERT_EQ(got.problems, "");
  std::vector<std::string> urls;
  for (const auto& one : got.upstreams)
    urls.push_back(one->base_url + " " + one->anthropic_base_url + " " + one->identity);
  EXPECT_THAT(urls, ElementsAre("https://api.openai.com/v1 https://api.openai.com https://api.openai.com/v1",
                                "http://127.0.0.1:8000/v1 http://127.0.0.1:8000 http://127.0.0.1:8000/v1",
                                "https://api.anthropic.com/v1 https://api.anthropic.com https://api.anthropic.com",
                                "https://api.anthropic.com/v1 https://api.anthropic.com https://api.anthropic.com",
                                "https://api.example.com/compatible/openai https://api.example.com/compatible/openai "
                                "https://api.example.com/compatible/openai"));
}

TEST(Upstreams, AnotherServerForMessagesIsPartOfTheIdentity) {
  const Read got = read("[upstreams.a]\nbase_url = \"http://a/v1\"\nanthropic_base_url = \"http://b/v1\"\n");
  ASSERT_EQ(got.problems, "");
  EXPECT_EQ(got.upstreams[0]->anthropic_base_url, "http://b");
  EXPECT_EQ(got.upstreams[0]->identity, "http://a/v1 http://b");
}

TEST(Upstreams, EverySettingReachesTheUpstream) {
  const std::string certificates = file_with("pem");
  const Read got = read(
      "[upstreams.vllm]\nbase_url = \"http://gpu:8000/v1\"\nmodels = [\"llama-*\", \"qwen\"]\nhttp2 = true\n"
      "verify_tls = false\nconnect_timeout = \"500ms\"\nfirst_byte_timeout = \"2m\"\nidle_timeout = 7\n"
      "ca_file = \"" +
      certificates + "\"\n");
  ASSERT_EQ(got.problems, "");
  const route::Upstream& upstream = *got.upstreams[0];
  EXPECT_THAT(upstream.models, ElementsAre("llama-*", "qwen"));
  EXPECT_TRUE(upstream.http2);
  EXPECT_FALSE(upstream.verify_tls);
  EXPECT_EQ(upstream.connect_timeout_ms, 500);
  EXPECT_EQ(upstream.first_byte_timeout_ms, 120'000);
  EXPECT_EQ(upstream.idle_timeout_ms, 7'000);
  EXPECT_EQ(upstream.ca_file, certificates);
  EXPECT_TRUE(upstream.forward_credential);
  unlink(certificates.c_str());
}

TEST(Upstreams, TheKeyComesFromTheVariableElseFromTheFile) {
  const std::string file = file_with("  sk-from-file\n");
  const std::string content =
      "[upstreams.openai]\nurl = \"https://api.openai.com/v1\"\nkey_env = \"OPENAI_API_KEY\"\nkey_file = \"" + file +
      "\"\n";
  EXPECT_EQ(read(content, {{"OPENAI_API_KEY", "sk-from-variable"}}).upstreams[0]->key, "sk-from-variable");
  EXPECT_EQ(read(content).upstreams[0]->key, "sk-from-file");
  unlink(file.c_str());
  EXPECT_THAT(read(content).problems, HasSubstr("set another `upstreams.openai.key_file`"));
}

TEST(Upstreams, AMissingKeySaysWhatToSet) {
  const std::string content =
      "[upstreams.openai]\nurl = \"https://api.openai.com/v1\"\nkey_env = \"OPENAI_API_KEY\"\n";
  EXPECT_EQ(read(content).problems, "upstream 'openai': set OPENAI_API_KEY or `upstreams.openai.key_file`");
  EXPECT_THAT(read(content, {{"OPENAI_API_KEY", " "}}).problems, HasSubstr("OPENAI_API_KEY is empty"));
  // A line end in a key would start another header.
  EXPECT_THAT(read(content, {{"OPENAI_API_KEY", "sk\r\nx: y"}}).problems, HasSubstr("one key and nothing else"));
}

TEST(Upstreams, WrongValuesAreNamedWithTheirLine) {
  const auto problems = [](const std::string& line) {
    return read("[upstreams.a]\nbase_url = \"http://a/v1\"\n" + line).problems;
  };
  EXPECT_EQ(problems("modles = []"), "unknown key 'upstreams.a.modles' at payonce.toml:3; did you mean 'models'?");
  EXPECT_EQ(problems("models = \"gpt\""),
            "invalid 'upstreams.a.models' at payonce.toml:3: expected a list of texts such as [\"one\", \"two\"], "
            "found a text");
  EXPECT_EQ(problems("kind = \"azure\""),
            "invalid 'upstreams.a.kind' at payonce.toml:3: expected \"openai\" or \"anthropic\", found \"azure\"");
  EXPECT_THAT(problems("url = \"http://b\""), HasSubstr("another spelling of base_url"));
  EXPECT_THAT(problems("http2 = \"yes\""), HasSubstr("expected true or false without quotes, found a text"));
  EXPECT_THAT(problems("idle_timeout = \"soon\""), HasSubstr("expected a duration"));
  EXPECT_THAT(problems("idle_timeout = 0"), HasSubstr("expected a duration above 0"));
  EXPECT_THAT(problems("ca_file = \"/nonexistent/ca.pem\""), HasSubstr("/nonexistent/ca.pem"));
  EXPECT_THAT(problems("anthropic_base_url = \"b\""), HasSubstr("expected a URL such as"));
  EXPECT_THAT(read("[[upstreams]]\nname = \"a\"\n").problems,
              HasSubstr("expected tables [upstreams.NAME], found an array"));
  EXPECT_THAT(read("[upstreams]\nurl = \"http://a\"\n").problems,
              HasSubstr("expected tables [upstreams.NAME], found a text"));
}

TEST(Upstreams, AUrlMustBeHttpAndHoldNoCredential) {
  for (const char* url : {"ftp://a", "a.example", "http://", "http://a b", "http://a/?x=1"})
    EXPECT_THAT(upstream_of_urls(url, "").error().message, HasSubstr("--upstream: expected a URL such as")) << url;
  EXPECT_THAT(upstream_of_urls("http://user:secret@a/v1", "").error().message,
              HasSubstr("must not hold a credential"));
  EXPECT_THAT(upstream_of_urls("", "a").error().message, HasSubstr("--upstream-anthropic: "));
}

TEST(Upstreams, OneComesFromTheUrlsOfTheCommandLine) {
  const route::UpstreamPtr openai = *upstream_of_urls("http://127.0.0.1:8080", "");
  EXPECT_EQ(openai->name, "upstream");
  EXPECT_EQ(openai->base_url, "http://127.0.0.1:8080/v1");
  EXPECT_EQ(openai->anthropic_base_url, "http://127.0.0.1:8080");
  const route::UpstreamPtr both = *upstream_of_urls("http://a/v1", "http://b");
  EXPECT_EQ(both->kind, route::UpstreamKind::kOpenAi);
  EXPECT_EQ(both->anthropic_base_url, "http://b");
  const route::UpstreamPtr anthropic = *upstream_of_urls("", "http://b");
  EXPECT_EQ(anthropic->kind, route::UpstreamKind::kAnthropic);
  EXPECT_EQ(anthropic->base_url, "http://b/v1");
}

const std::string kSha256(64, 'a');

TEST(Keys, HoldTheirScopesAndLimits) {
  const Read got =
      read("[keys.search]\nsha256 = \"" + std::string(64, 'A') +
           "\"\nscopes = [\"team:search\", \"user:*\", \"user:team-a:*\", \"public\"]\nrequests_per_minute = 60\n"
           "budget_usd_per_day = 2.5\n");
  ASSERT_EQ(got.problems, "");
  EXPECT_EQ(got.keys[0].name, "search");
  EXPECT_EQ(got.keys[0].sha256, kSha256);
  EXPECT_THAT(got.keys[0].scopes, ElementsAre("team:search", "user:*", "user:team-a:*", "public"));
  EXPECT_DOUBLE_EQ(got.keys[0].limit.requests_per_minute, 60);
  EXPECT_DOUBLE_EQ(got.keys[0].limit.budget_usd_per_day, 2.5);
}

TEST(Keys, WrongOnesAreRefusedWithoutRepeatingThem) {
  const std::string problems = read("[keys.a]\nsha256 = \"sk-secret\"\n").problems;
  EXPECT_THAT(problems, HasSubstr("invalid 'keys.a.sha256' at payonce.toml:2: expected 64 hex digits"));
  EXPECT_THAT(problems, testing::Not(HasSubstr("sk-secret")));
  EXPECT_THAT(read("[keys.a]\n").problems, HasSubstr("missing 'keys.a.sha256'"));
  const std::string key = "sha256 = \"" + kSha256 + "\"\n";
  EXPECT_THAT(read("[keys.a]\n" + key + "[keys.b]\n" + key).problems, HasSubstr("key 'a' has the same one"));
  for (const char* scope : {"*", "team:", "group:a", "team:a*", "user:a b", "team:a,public"})
    EXPECT_THAT(read("[keys.a]\n" + key + "scopes = [\"" + scope + "\"]\n").problems, HasSubstr("expected team:NAME"))
        << scope;
  EXPECT_THAT(read("[keys.a]\n" + key + "requests_per_minute = -1\n").problems,
              HasSubstr("expected a number from 0"));
}

TEST(Upstreams, APriceFactorIsOneUnlessItIsGiven) {
  const Read got = read("[upstreams.a]\nurl = \"http://a\"\nprice_factor = 0.8\n[upstreams.b]\nurl = \"http://b\"\n");
  ASSERT_EQ(got.upstreams.size(), 2u);
  EXPECT_DOUBLE_EQ(got.upstreams[0]->price_factor, 0.8);
  EXPECT_DOUBLE_EQ(got.upstreams[1]->price_factor, 1);
  EXPECT_THAT(read("[upstreams.a]\nurl = \"http://a\"\nprice_factor = -1\n").problems, HasSubstr("price_factor"));
}

TEST(Prices, CacheClassesCostTheInputPriceUnlessSet) {
  const Read got = read("[prices.\"llama-3.3-70b\"]\ninput = 1\noutput = 2.5\ncache_read = 0.1\n");
  ASSERT_EQ(got.problems, "");
  const llm::Price& price = got.prices.at("llama-3.3-70b");
  EXPECT_DOUBLE_EQ(price.output, 2.5);
  EXPECT_DOUBLE_EQ(price.cache_read, 0.1);
  EXPECT_DOUBLE_EQ(price.cache_write_short, 1);
  EXPECT_DOUBLE_EQ(price.cache_write_long, 1);
  EXPECT_THAT(read("[prices.x]\ninput = 1\n").problems, HasSubstr("missing 'prices.\"x\".output'"));
}

}  // namespace
}  // namespace payonce::config
