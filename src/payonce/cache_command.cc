#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <memory>
#include <string>

#include "base/terminal.h"
#include "config/settings.h"
#include "payonce/commands.h"
#include "payonce/explanation_text.h"
#include "payonce/remote.h"
#include "payonce/run.h"

namespace payonce {
namespace {

namespace json = boost::json;

struct CacheCommandOptions {
  Remote remote;
  bool as_json = false;
  std::string key, scope, version, model, older_than, id;
  int limit = 100;
  bool all = false;
};

// Names and answers are others' to choose: a terminal must not act on them.
void show(const std::string& text) { (void)std::fputs(base::for_terminal(text).c_str(), stdout); }

// Bytes as they are, for programs.
void give(const std::string& text) {
  if (::isatty(STDOUT_FILENO) != 0) return show(text);
  (void)std::fwrite(text.data(), 1, text.size(), stdout);
}

std::string short_key(const std::string& key) { return key.size() > 64 ? key.substr(0, 61) + "..." : key; }

base::Result<std::string> query(const CacheCommandOptions& options) {
  std::string out = fmt::format("limit={}", options.limit);
  for (const auto& [name, value] : {std::pair{"key", options.key},
                                    {"scope", options.scope},
                                    {"version", options.version},
                                    {"model", options.model}})
    if (!value.empty()) out += fmt::format("&{}={}", name, percent_encoded(value));
  if (!options.older_than.empty()) {
    PAYONCE_TRY(const int64_t seconds, config::parse_duration_s(options.older_than));
    out += fmt::format("&older_than={}", seconds);
  }
  return out;
}

int list(const CacheCommandOptions& options) {
  const auto parameters = query(options);
  if (!parameters) return complain(parameters.error(), kFailed);
  const auto body = call(options.remote, "GET", "/payonce/v1/cache?" + *parameters);
  if (!body) return complain(body.error(), kFailed);
  if (options.as_json) {
    give(*body + "\n");
    return 0;
  }
  const json::value answer = json::parse(*body);
  const json::array& rows = answer.at("entries").as_array();
  show(
      fmt::format("{:<64}  {:<24}  {:>9}  {:>8}  {:>8}  {:>5}\n", "KEY", "MODEL", "BYTES", "AGE s", "TTL s", "HITS"));
  for (const json::value& row : rows)
    show(fmt::format("{:<64}  {:<24}  {:>9}  {:>8}  {:>8}  {:>5}\n",
                     short_key(std::string(row.at("key").as_string())), std::string_view(row.at("model").as_string()),
                     number(row, "bytes"), number(row, "age_s"), number(row, "ttl_s"), number(row, "hits")));
  if (rows.empty()) show("no entries\n");
  return 0;
}

int get(const CacheCommandOptions& options) {
  const auto body = call(options.remote, "GET", "/payonce/v1/cache/entry?key=" + percent_encoded(options.key));
  if (!body) return complain(body.error(), kFailed);
  if (options.as_json) {
    give(*body + "\n");
    return 0;
  }
  const json::value answer = json::parse(*body);
  (void)std::fprintf(stderr, "%s\nmodel %s, %s, age %ld s, ttl %ld s, cost %s USD\n", options.key.c_str(),
                     base::for_terminal(answer.at("model").as_string()).c_str(),
                     answer.at("form").as_string().c_str(), static_cast<long>(number(answer, "age_s")),
                     static_cast<long>(number(answer, "ttl_s")),
                     fmt::format("{:.6f}", answer.at("cost_usd").to_number<double>()).c_str());
  give(std::string(answer.at("body").as_string()) + "\n");
  return 0;
}

int purge(const CacheCommandOptions& options) {
  json::object filter;
  for (const auto& [name, value] : {std::pair{"key", options.key},
                                    {"scope", options.scope},
                                    {"version", options.version},
                                    {"model", options.model}})
    if (!value.empty()) filter[name] = value;
  if (!options.older_than.empty()) {
    const auto seconds = config::parse_duration_s(options.older_than);
    if (!seconds) return complain(seconds.error(), kFailed);
    filter["older_than"] = *seconds;
  }
  if (options.all) filter["all"] = true;
  if (filter.empty()) {
    (void)std::fputs(
        "payonce: nothing named to purge; say --key, --scope, --version, --model, --older-than, or --all\n", stderr);
    return 2;
  }
  const auto body = call(options.remote, "POST", "/payonce/v1/cache/purge", json::serialize(filter));
  if (!body) return complain(body.error(), kFailed);
  (options.as_json ? give : show)(
      options.as_json ? *body + "\n" : fmt::format("removed {} entries\n", number(json::parse(*body), "removed")));
  return 0;
}

int why(const CacheCommandOptions& options) {
  const auto body = call(options.remote, "GET", "/payonce/v1/explain?id=" + percent_encoded(options.id));
  if (!body) return complain(body.error(), kFailed);
  (options.as_json ? give : show)(options.as_json ? *body + "\n" : explanation_text(json::parse(*body)));
  return 0;
}

// Those that have something to say.
void say_agent_kinds(const json::object& layers) {
  for (const auto& [name, layer] : layers) {
    const bool kind = layer.as_object().contains("by_meaning");
    if (!kind || number(layer, "hits") + number(layer, "misses") + number(layer, "entries") == 0) continue;
    show(fmt::format("agent {}: {} hits ({} by meaning), {} misses ({} for a changed dependency), {} entries\n",
                     std::string_view(name), number(layer, "hits"), number(layer, "by_meaning"),
                     number(layer, "misses"), number(layer.at("reasons"), "dependency"), number(layer, "entries")));
  }
}

void say_layers(const json::value& answer) {
  const json::value& exact = answer.at("layers").at("exact");
  const json::value& saved = answer.at("saved");
  const int64_t hits = number(exact, "hits"), misses = number(exact, "misses");
  show(fmt::format("exact: {} hits, {} misses ({:.1f} % of look-ups answered), {} bypassed, {} joined in flight\n",
                   hits, misses,
                   hits + misses == 0 ? 0.0 : 100.0 * static_cast<double>(hits) / static_cast<double>(hits + misses),
                   number(exact, "bypassed"), number(exact, "collapsed")));
  if (const json::value* semantic = answer.at("layers").as_object().if_contains("semantic")) {
    const json::value& wrong = semantic->at("wrong_answers");
    const auto percent = [&](std::string_view name) { return 100 * wrong.at(name).to_number<double>(); };
    show(fmt::format(
        "semantic: {} hits, {} misses; wrong answers: {:.2f} % of its requests ({:.2f} to {:.2f}, from {} hits "
        "asked again), bound {:.2f} %\n",
        number(*semantic, "hits"), number(*semantic, "misses"), percent("estimate"), percent("low"), percent("high"),
        number(wrong, "asked_again"), percent("bound")));
  }
  say_agent_kinds(answer.at("layers").as_object());
  show(fmt::format("stored: {} entries, {} bytes in memory, {} bytes on disk\n", number(exact, "entries"),
                   number(exact, "bytes"), number(exact, "disk_bytes")));
  show(fmt::format("saved: {} input and {} output tokens, {:.6f} USD\n", number(saved, "input_tokens"),
                   number(saved, "output_tokens"), saved.at("usd").to_number<double>()));
}

void say_engine(const json::value& engine) {
  const json::value& blocks = engine.at("blocks");
  show(fmt::format(
      "engine: {} running, {} waiting; KV blocks: {} used, {} cached, {} free; {} of {} prompt tokens "
      "reused\n",
      number(engine, "running"), number(engine, "waiting"), number(blocks, "used"), number(blocks, "cached"),
      number(blocks, "free"), number(engine, "hit_tokens"), number(engine, "prompt_tokens")));
}

// What a caller is told that is not the admin.
void say_scope(const json::value& answer) {
  const json::value& exact = answer.at("layers").at("exact");
  const json::value& saved = answer.at("saved");
  show(fmt::format("scope {}, this day (UTC): {} exact hits, {} misses, {} entries of {} bytes; saved {:.6f} USD\n",
                   std::string_view(answer.at("scope").as_string()), number(exact, "hits"), number(exact, "misses"),
                   number(exact, "entries"), number(exact, "bytes"), saved.at("usd").to_number<double>()));
}

int stats(const CacheCommandOptions& options) {
  const auto body = call(options.remote, "GET", "/payonce/v1/stats");
  if (!body) return complain(body.error(), kFailed);
  if (options.as_json) {
    give(*body + "\n");
    return 0;
  }
  const json::value answer = json::parse(*body);
  // `payonce engine` has no layers, a gateway in front of others no engine.
  const bool one_scope = answer.as_object().contains("scope");
  if (answer.as_object().contains("layers")) (one_scope ? say_scope : say_layers)(answer);
  if (const json::value* engine = answer.as_object().if_contains("engine")) say_engine(*engine);
  return 0;
}

void add_filters(CLI::App& command, CacheCommandOptions& options) {
  command.add_option("--key", options.key, "Exact key, or a prefix ending in *");
  command.add_option("--scope", options.scope, "Scope id");
  command.add_option("--version-tag", options.version, "One version tag, as in tools=v3");
  command.add_option("--version", options.version, "The same as --version-tag");
  command.add_option("--model", options.model, "Model of the request");
  command.add_option("--older-than", options.older_than, "Age: 90s, 15m, 24h, 7d");
}

}  // namespace

void add_cache(CLI::App& app, int& status) {
  CLI::App* cache = app.add_subcommand("cache", "Looks into and invalidates a running instance's cache");
  cache->require_subcommand(1);
  cache->footer(
      "Examples:\n"
      "  payonce cache stats\n"
      "  payonce cache ls --model gpt-4o --limit 20\n"
      "  payonce cache get resp:v1:u-3f9a...:9c41...\n"
      "  payonce cache why r-0123456789abcdef\n"
      "  payonce cache why e-0123456789abcdef0123456789abcdef\n"
      "  payonce cache purge --version tools=v3\n"
      "  payonce cache purge --older-than 7d --json");
  const auto options = std::make_shared<CacheCommandOptions>();
  const auto add = [&](const char* name, const char* help, int (*run)(const CacheCommandOptions&)) {
    CLI::App* command = cache->add_subcommand(name, help);
    command->add_option("--url", options->remote.url,
                        "The instance; default $PAYONCE_URL, else http://127.0.0.1:4141");
    command->add_option("--token", options->remote.token,
                        "Its admin token; default $PAYONCE_ADMIN_TOKEN, else this user's");
    command->add_flag("--json", options->as_json, "Print JSON");
    command->callback([options, run, &status] { status = run(*options); });
    return command;
  };
  CLI::App* ls = add("ls", "Lists entries, newest first", list);
  add_filters(*ls, *options);
  ls->add_option("--limit", options->limit, "At most so many")->check(CLI::Range(1, 1000));
  add("get", "Prints one recorded answer", get)->add_option("key", options->key, "Key of the entry")->required();
  CLI::App* remove = add("purge", "Removes entries: all that match every filter", purge);
  add_filters(*remove, *options);
  remove->add_flag("--all", options->all, "Everything");
  add("why", "Says why a request hit or missed, part by part", why)
      ->add_option("id", options->id, "X-Payonce-Id of its answer, or an entry of the agent API (e-…)")
      ->required();
  add("stats", "Hits, misses, what is stored, what was saved", stats);
}

}  // namespace payonce
