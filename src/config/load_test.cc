#include "config/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "config/options.h"
#include "config/units.h"

namespace payonce::config {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

// A directory for the files of one test, and what the environment holds.
class LoadTest : public testing::Test {
 protected:
  LoadTest() {
    std::string pattern = testing::TempDir() + "payonce-config-XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  ~LoadTest() override { std::filesystem::remove_all(directory_); }

  std::string file(const std::string& name, const std::string& content) {
    const std::string path = directory_ + "/" + name;
    std::ofstream(path) << content;
    return path;
  }
  base::Result<Settings> load_file(const std::string& content) {
    flags_.config_file = file("payonce.toml", content);
    return load();
  }
  base::Result<Settings> load() {
    const GetEnv env = [this](std::string_view name) -> std::optional<std::string> {
      const auto found = variables_.find(std::string(name));
      return found == variables_.end() ? std::nullopt : std::optional(found->second);
    };
    return config::load(flags_, env, files_);
  }
  // The message without the directory of the test.
  std::string error_of(const std::string& content) {
    const auto loaded = load_file(content);
    if (loaded) return "no error";
    std::string message = loaded.error().message;
    for (size_t at = 0; (at = message.find(directory_ + "/")) != std::string::npos;)
      message.erase(at, directory_.size() + 1);
    return message;
  }

  std::string directory_;
  Flags flags_;
  std::map<std::string, std::string> variables_ = {{"HOME", "/home/someone"}};
  base::PosixEnv files_;
};

TEST_F(LoadTest, DefaultsHoldWithoutAnySource) {
  const auto loaded = load();
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->listen, "127.0.0.1:4141");
  EXPECT_EQ(loaded->data_dir, "/home/someone/.local/share/payonce");
  EXPECT_EQ(loaded->ttl_s, 86'400);
  EXPECT_THAT(loaded->layers, ElementsAre("exact", "semantic", "prefix"));
  EXPECT_TRUE(loaded->upstreams.empty());
}

TEST_F(LoadTest, TheDataDirectoryFollowsPayonceHomeThenXdg) {
  variables_["XDG_DATA_HOME"] = "/xdg";
  EXPECT_EQ(load()->data_dir, "/xdg/payonce");
  variables_["PAYONCE_HOME"] = "/own";
  EXPECT_EQ(load()->data_dir, "/own/data");
  variables_.clear();
  EXPECT_THAT(load().error().message, HasSubstr("pass --data DIR"));
}

TEST_F(LoadTest, AFlagBeatsAVariableThatBeatsTheFile) {
  const std::string content = "threads = 1\nmax_disk = \"1MiB\"\n[policy]\nttl = \"1m\"\n";
  variables_["PAYONCE_THREADS"] = "2";
  variables_["PAYONCE_POLICY_TTL"] = "2m";
  flags_.values["threads"] = "3";
  const auto loaded = load_file(content);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->threads, 3);
  EXPECT_EQ(loaded->ttl_s, 120);
  EXPECT_EQ(loaded->max_disk_bytes, 1u << 20);
}

TEST_F(LoadTest, AnEmptyVariableIsNotSet) {
  variables_["PAYONCE_THREADS"] = "";
  EXPECT_TRUE(load());
}

TEST_F(LoadTest, EveryKindOfValueIsReadFromTheFile) {
  const auto loaded = load_file(R"(
listen = "[::1]:0"
layers = "none"
error_bound = 0.05
max_memory = 4096
[policy]
sampled = "bypass"
replay_pace = true
ttl = 90
[limits]
requests_per_minute = 60
[retry]
statuses = [429, 503]
base_pause = "250ms"
[log]
level = "warn"
format = "json"
)");
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->listen, "[::1]:0");
  EXPECT_TRUE(loaded->layers.empty());
  EXPECT_DOUBLE_EQ(loaded->error_bound, 0.05);
  EXPECT_EQ(loaded->max_memory_bytes, 4096u);
  EXPECT_FALSE(loaded->cache_sampled);
  EXPECT_TRUE(loaded->replay_pace);
  EXPECT_EQ(loaded->ttl_s, 90);
  EXPECT_DOUBLE_EQ(loaded->default_limit.requests_per_minute, 60);
  EXPECT_THAT(loaded->retry.statuses, ElementsAre(429, 503));
  EXPECT_EQ(loaded->retry.base_pause_ms, 250);
  EXPECT_EQ(loaded->log_level, base::LogLevel::kWarn);
  EXPECT_EQ(loaded->log_format, base::LogFormat::kJson);
}

TEST_F(LoadTest, AnUnknownKeyIsNamedWithLineAndTheNearestKey) {
  EXPECT_EQ(error_of("\nlisten = \"127.0.0.1:1\"\nmax_memry = 1\n"),
            "unknown key 'max_memry' at payonce.toml:3; did you mean 'max_memory'?");
  EXPECT_EQ(error_of("[policy]\nsampeld = \"cache\"\n"),
            "unknown key 'policy.sampeld' at payonce.toml:2; did you mean 'sampled'?");
  EXPECT_EQ(error_of("[polcy]\nttl = 1\n"), "unknown key 'polcy' at payonce.toml:1; did you mean 'policy'?");
  EXPECT_EQ(error_of("[upstrems.a]\n"), "unknown key 'upstrems' at payonce.toml:1; did you mean 'upstreams'?");
  EXPECT_EQ(error_of("[policy]\nbanana = 1\n"),
            "unknown key 'policy.banana' at payonce.toml:2; known here: sampled, ttl, replay_pace");
}

TEST_F(LoadTest, AWrongTypeOrValueIsNamedWithLine) {
  EXPECT_EQ(error_of("threads = \"4\"\n"),
            "invalid 'threads' at payonce.toml:1: expected a whole number, found a text");
  EXPECT_EQ(error_of("threads = -1\n"),
            "invalid 'threads' at payonce.toml:1: expected a whole number from 0 to 1024, found \"-1\"");
  EXPECT_EQ(error_of("policy = 3\n"),
            "invalid 'policy' at payonce.toml:1: expected a table [policy], found a whole number");
  EXPECT_EQ(error_of("[policy]\nsampled = \"maybe\"\n"),
            "invalid 'policy.sampled' at payonce.toml:2: expected one of \"cache\", \"bypass\", found \"maybe\"");
  EXPECT_EQ(error_of("[log]\nrequests = 1\n"),
            "invalid 'log.requests' at payonce.toml:2: expected true or false, found a whole number");
  EXPECT_THAT(error_of("max_disk = \"1GB\"\n"), HasSubstr("expected a size such as \"256MiB\""));
  EXPECT_THAT(error_of("listen = \"4141\"\n"), HasSubstr("expected HOST:PORT"));
  EXPECT_THAT(error_of("listen = \"::1:4141\"\n"), HasSubstr("expected HOST:PORT"));
  EXPECT_THAT(error_of("[retry]\nstatuses = [200]\n"), HasSubstr("expected HTTP statuses from 400 to 599"));
}

TEST_F(LoadTest, AVariableOrFlagWithAWrongValueIsNamed) {
  variables_["PAYONCE_POLICY_TTL"] = "soon";
  flags_.values["threads"] = "many";
  const std::string message = load().error().message;
  EXPECT_THAT(message, HasSubstr("PAYONCE_POLICY_TTL: expected whole seconds"));
  EXPECT_THAT(message, HasSubstr("--threads: expected a whole number from 0 to 1024, found \"many\""));
}

TEST_F(LoadTest, AllProblemsAreToldAtOnce) {
  EXPECT_EQ(
      error_of("threads = 4096\nspeed = 1\nlayers = [\"exact\", 1]\nmax_disk = true\n[upstreams.a]\n"),
      "invalid 'layers' at payonce.toml:3: expected layers: exact, semantic, prefix, or none, found \"1\"\n"
      "invalid 'max_disk' at payonce.toml:4: expected a size, found true or false without quotes\n"
      "unknown key 'speed' at payonce.toml:2; known here: upstreams, keys, prices, listen, hosts, data, layers, "
      "error_bound, "
      "threads, max_memory, max_disk, model, engine, semantic, retrieval, prefix, routing, tls, policy, "
      "limits, retry, log, agent, record, "
      "encryption, admin, traces\n"
      "invalid 'threads' at payonce.toml:1: expected a whole number from 0 to 1024, found \"4096\"\n"
      "missing 'upstreams.a.base_url' in the table at payonce.toml:5; for example base_url = "
      "\"https://api.openai.com/v1\"");
}

TEST_F(LoadTest, TheEncryptionKeyComesFromAFileOrAVariable) {
  const std::string key(64, 'a');
  EXPECT_EQ(load().value().protection.keys, nullptr);
  variables_["PAYONCE_ENCRYPTION_KEY"] = key;
  ASSERT_NE(load().value().protection.keys, nullptr);
  const std::string path = file("key", key + "\n");
  std::filesystem::permissions(path, std::filesystem::perms::owner_read);
  flags_.values["encryption.key_file"] = path;
  EXPECT_THAT(load().error().message, HasSubstr("both set"));
  variables_.erase("PAYONCE_ENCRYPTION_KEY");
  EXPECT_NE(load().value().protection.keys, nullptr);
  std::filesystem::permissions(path, std::filesystem::perms::others_read, std::filesystem::perm_options::add);
  EXPECT_THAT(load().error().message, HasSubstr("encryption.key_file: " + path + " has mode 0404"));
  flags_.values.clear();
  variables_["PAYONCE_ENCRYPTION_KEY"] = "not a key";
  EXPECT_THAT(load().error().message, HasSubstr("PAYONCE_ENCRYPTION_KEY: key 1 has 3 characters"));
  EXPECT_THAT(error_of("[encryption]\nplaintext = \"keep\"\n"), HasSubstr("expected one of \"seal\", \"refuse\""));
}

TEST_F(LoadTest, WhatIsNoTomlIsNamedWithItsLine) {
  EXPECT_THAT(error_of("threads = 1\nlisten = \n"), HasSubstr("not TOML at payonce.toml:2"));
  flags_.config_file = directory_ + "/missing.toml";
  EXPECT_THAT(load().error().message, HasSubstr("missing.toml"));
}

TEST_F(LoadTest, LayersThatCannotWorkAreRefused) {
  flags_.values["layers"] = "prefix";
  EXPECT_THAT(load()->layers, ElementsAre("prefix"));
  flags_.values["layers"] = "semantic";
  EXPECT_THAT(load().error().message, HasSubstr("name both, exact,semantic"));
  flags_.values["layers"] = "exact,none";
  EXPECT_THAT(load().error().message, HasSubstr("\"none\" alone"));
}

TEST_F(LoadTest, TheAdminTokenComesFromItsVariableOrItsFile) {
  flags_.config_file = file("payonce.toml", "[admin]\ntoken_file = \"" + file("token", " from-file\n") + "\"\n");
  EXPECT_EQ(load()->admin_token, "from-file");
  variables_["PAYONCE_ADMIN_TOKEN"] = "from-variable";
  EXPECT_EQ(load()->admin_token, "from-variable");
  flags_.values["admin.token_file"] = file("token2", "from-flag");
  EXPECT_EQ(load()->admin_token, "from-flag");
  flags_.values["admin.token_file"] = file("token3", "\n");
  EXPECT_THAT(load().error().message, HasSubstr("the admin token is empty"));
}

TEST_F(LoadTest, TheEmbedderAndItsKeyComeFromTheFile) {
  const std::string key = file("key", "sk-embed\n");
  flags_.config_file = file("payonce.toml",
                            "[semantic]\nembedder = \"https://e/v1\"\nembedder_model = \"m\"\n"
                            "embedder_dimensions = 256\nembedder_key_file = \"" +
                                key + "\"\n");
  const auto loaded = load();
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->embedder.source, "https://e/v1");
  EXPECT_EQ(loaded->embedder.model, "m");
  EXPECT_EQ(loaded->embedder.dimensions, 256);
  EXPECT_EQ(loaded->embedder.key, "sk-embed");
  flags_.values["semantic.embedder_key_file"] = file("empty", " \n");
  EXPECT_THAT(load().error().message, HasSubstr("semantic.embedder_key_file: the file is empty"));
  flags_.values["semantic.embedder_key_file"] = key + ".none";
  EXPECT_THAT(load().error().message, HasSubstr("semantic.embedder_key_file: "));
}

TEST_F(LoadTest, TheCollectorOfTracesFollowsTheStandardVariable) {
  variables_["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://collector:4318";
  EXPECT_EQ(load()->traces_endpoint, "http://collector:4318");
  flags_.values["traces.endpoint"] = "http://other:4318";
  EXPECT_EQ(load()->traces_endpoint, "http://other:4318");
}

TEST_F(LoadTest, HalfOfATlsPairIsAnError) {
  EXPECT_THAT(error_of("[tls]\nkey_file = \"k.pem\"\n"),
              HasSubstr("needs both tls.certificate_file and tls.key_file"));
}

TEST_F(LoadTest, TheFlagsOfACommandAreTheOptionsOfTheTable) {
  CLI::App app;
  add_flags(app, Command::kServe, flags_);
  app.parse("--threads 3 --log-requests --sampled=bypass --upstream http://127.0.0.1:9 --data /d --config c.toml");
  EXPECT_THAT(flags_.values, testing::UnorderedElementsAre(testing::Pair("threads", "3"), testing::Pair("data", "/d"),
                                                           testing::Pair("log.requests", "true"),
                                                           testing::Pair("policy.sampled", "bypass")));
  EXPECT_EQ(flags_.upstream, "http://127.0.0.1:9");
  EXPECT_EQ(flags_.config_file, "c.toml");
  EXPECT_THAT(app.help(), HasSubstr("--max-memory"));
  EXPECT_THAT(app.help(), testing::Not(HasSubstr("--kv-blocks")));
}

TEST_F(LoadTest, TheEnginesOwnCommandCallsItsOptionsByShortNames) {
  CLI::App app;
  add_flags(app, Command::kEngine, flags_);
  app.parse("--threads 2 --kv-blocks 64 --public-prefix a.txt --public-prefix b.txt --kv-memory 1GiB --kv-type q8_0");
  const auto loaded = load();
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->engine.threads, 2);
  EXPECT_EQ(loaded->threads, 0);
  EXPECT_EQ(loaded->engine.kv_blocks, 64);
  EXPECT_EQ(loaded->engine.kv_memory_bytes, 1u << 30);
  EXPECT_EQ(loaded->engine.kv_type, "q8_0");
  EXPECT_THAT(loaded->engine.public_prefix_files, ElementsAre("a.txt", "b.txt"));
  EXPECT_THAT(app.help(), testing::Not(HasSubstr("--upstream")));
  EXPECT_THAT(app.help(), testing::Not(HasSubstr("--layers")));
  flags_.values["engine.threads"] = "many";
  EXPECT_THAT(load().error().message, testing::StartsWith("--threads: expected a whole number"));
}

TEST_F(LoadTest, BothCommandsTakeTheEngineFromTheFile) {
  const auto loaded = load_file("model = \"m.gguf\"\n[engine]\nthreads = 3\npublic_prefix = [\"a.txt\"]\n");
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->model_file, "m.gguf");
  EXPECT_EQ(loaded->engine.threads, 3);
  EXPECT_THAT(loaded->engine.public_prefix_files, ElementsAre("a.txt"));
}

TEST_F(LoadTest, TheDefaultModelIsWhereTheFetcherPutsIt) {
  EXPECT_EQ(load()->model_file, "/home/someone/.cache/payonce/models/SmolLM2-135M-Instruct.Q4_1.gguf");
  EXPECT_FALSE(load()->data_dir_given);
  variables_["XDG_CACHE_HOME"] = "/xdg";
  EXPECT_EQ(load()->model_file, "/xdg/payonce/models/SmolLM2-135M-Instruct.Q4_1.gguf");
  variables_["PAYONCE_HOME"] = "/own";
  variables_["PAYONCE_DATA"] = "/data";
  EXPECT_EQ(load()->model_file, "/own/models/SmolLM2-135M-Instruct.Q4_1.gguf");
  EXPECT_TRUE(load()->data_dir_given);
  variables_["PAYONCE_MODEL"] = "/m.gguf";
  EXPECT_EQ(load()->model_file, "/m.gguf");
}

TEST(Options, EveryDefaultReadsBackAsItself) {
  for (const Option& option : options()) {
    Settings settings;
    const std::string value = option.field.get(settings);
    if (value.empty()) continue;
    const auto status = option.field.set(settings, value);
    EXPECT_TRUE(status) << option.key << ": " << status.error().message;
    EXPECT_EQ(option.field.get(settings), value) << option.key;
  }
}

TEST(Options, VariablesFollowKeys) { EXPECT_EQ(variable_of("policy.sampled"), "PAYONCE_POLICY_SAMPLED"); }

TEST(Units, SizesAndDurationsAreReadWithTheirUnits) {
  EXPECT_EQ(parse_size("64KiB"), 65'536u);
  EXPECT_EQ(parse_size("1 GiB"), 1u << 30);
  EXPECT_EQ(parse_size("17"), 17u);
  EXPECT_EQ(parse_duration_s("15m"), 900);
  EXPECT_EQ(parse_duration_s("7d"), 7 * 86'400);
  EXPECT_EQ(parse_duration_s("2000ms"), 2);
  EXPECT_EQ(parse_duration_ms("100ms"), 100);
  EXPECT_EQ(format_size(256u << 20), "256MiB");
  EXPECT_EQ(format_duration_ms(90'000), "90s");
  for (const char* wrong : {"", "MiB", "1GB", "-1", "1.5GiB", "9999999999TiB", "1MiBs"})
    EXPECT_FALSE(parse_size(wrong)) << wrong;
  for (const char* wrong : {"", "h", "1500ms", "1w", "-1s", "99999999999999999d"})
    EXPECT_FALSE(parse_duration_s(wrong)) << wrong;
}

}  // namespace
}  // namespace payonce::config
