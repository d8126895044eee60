#include "agent/api/calls.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <utility>
#include <vector>

#include "agent/api/body.h"
#include "identity/canonical.h"
#include "identity/canonical_json.h"
#include "llm/usage.h"
#include "net/headers.h"

namespace payonce::agent {
namespace {

using llm::JsonType;
using llm::JsonView;

constexpr size_t kMaxDependencies = 10'000;
constexpr size_t kMaxNameBytes = 4096;
constexpr double kMaxWait_s = 60;
constexpr double kMaxSeconds = 10.0 * 365 * 24 * 3600;

base::Result<JsonView> object_of(std::string_view text) {
  if (auto view = JsonView::parse(text)) return *std::move(view);
  const auto tape = llm::Tape::parse(text);
  return base::fail(base::Code::kInvalid,
                    tape ? std::string("expected a JSON object") : "body: " + tape.error().message);
}

// A path that means one file: absolute, without "." and "..". Links in it are followed at each look.
bool is_plain_path(const std::string& path) {
  return path.starts_with('/') && path.size() <= kMaxNameBytes && path.find('\0') == std::string::npos &&
         std::filesystem::path(path).lexically_normal() == path;
}

Dependency read_dependency(const JsonView& view, uint32_t node, const std::string& where, Body& call) {
  Body body(view, node, where, {"type", "path", "name", "value"});
  Dependency out;
  const std::string type = body.required_text("type");
  const auto known = type_of(type);
  if (!known || *known == DependencyType::kTool) {
    body.fail("type", "expected file, dir, git or value");
  } else if (is_on_disk(*known)) {
    out.type = *known;
    out.name = body.required_text("path");
    if (out.type != DependencyType::kFile && out.name.size() > 1 && out.name.ends_with('/')) out.name.pop_back();
    if (!is_plain_path(out.name)) body.fail("path", "expected an absolute path without . and ..");
  } else {
    out.type = *known;
    out.name = body.required_text("name");
    const uint32_t value = body.member("value");
    if (value == JsonView::kNone) body.fail("value", "missing");
    if (value != JsonView::kNone)
      out.value = base::hex(base::sha256(identity::canonical_json(view.tape(), view.text(), value)));
  }
  if (!body.status()) call.keep(body.status().error());
  return out;
}

std::vector<Dependency> read_dependencies(const JsonView& view, Body& call) {
  std::vector<Dependency> out;
  const uint32_t deps = call.array("deps");
  if (deps == JsonView::kNone || !call.status()) return out;
  if (view.children(deps) > kMaxDependencies) {
    call.fail("deps", fmt::format("at most {}", kMaxDependencies));
    return out;
  }
  uint32_t at = deps + 1;
  for (size_t i = 0; i < view.children(deps); ++i, at = view.tape()[at].next) {
    Dependency dep = read_dependency(view, at, fmt::format("deps[{}]", i), call);
    const bool again = std::any_of(out.begin(), out.end(), [&](const Dependency& d) { return d.same_thing(dep); });
    if (!again) out.push_back(std::move(dep));
  }
  return out;
}

// {"tools":"v3"} as the tags of X-Payonce-Version are written.
std::string read_versions(const JsonView& view, Body& call) {
  const uint32_t versions = call.object("versions");
  if (versions == JsonView::kNone || !call.status()) return {};
  std::vector<std::string> tags;
  uint32_t at = versions + 1;
  for (size_t i = 0; i < view.children(versions); ++i, at = view.tape()[at + 1].next) {
    const std::string name = view.string(at);
    if (!view.is(at + 1, JsonType::kString)) call.fail("versions." + name, "expected a string");
    tags.push_back(name + "=" + view.string(at + 1));
  }
  net::Headers headers;
  for (const std::string& tag : tags)
    if (!headers.try_add("X-Payonce-Version", tag)) call.fail("versions", "a tag holds control characters");
  auto out = identity::versions_of(headers);
  if (!out) call.keep({base::Code::kInvalid, "versions: " + out.error().message});
  return out.value_or("");
}

std::vector<std::string> read_names(const JsonView& view, std::string_view name, Body& call) {
  std::vector<std::string> out;
  const uint32_t names = call.array(name);
  if (names == JsonView::kNone || !call.status()) return out;
  uint32_t at = names + 1;
  for (size_t i = 0; i < view.children(names); ++i, at = view.tape()[at].next) {
    if (!view.is(at, JsonType::kString)) call.fail(name, "expected an array of strings");
    out.push_back(view.string(at));
  }
  return out;
}

// As a provider wrote it (OpenAI's or Anthropic's names), with "cost_usd" beside it where that is known.
void read_usage(const JsonView& view, Body& call, Commit& out) {
  const uint32_t node = call.object("usage");
  if (node == JsonView::kNone || !call.status()) return;
  boost::system::error_code error;
  const boost::json::value parsed = boost::json::parse(view.tape().raw(view.text(), node), error);
  if (error || !parsed.is_object()) return;  // a number that boost cannot hold: it is a report, not a rule
  const boost::json::object& usage = parsed.as_object();
  const bool openai = usage.contains("prompt_tokens") || usage.contains("input_tokens_details");
  out.usage = openai ? llm::openai_usage(usage) : llm::anthropic_usage(usage);
  if (const auto cost = view.number(view.member(node, "cost_usd")); cost && *cost >= 0) out.cost_usd = *cost;
}

}  // namespace

base::Result<LookupCall> read_lookup(std::string_view text, identity::PartDigests& known, std::string_view owner) {
  PAYONCE_TRY(const JsonView view, object_of(text));
  Body body(view, 0, "",
            {"kind", "parts", "versions", "scope", "deps", "run", "max_age", "explain", "wait", "semantic",
             "tools_mode", "intent"});
  auto question = std::make_shared<Question>();
  const std::string name = body.required_text("kind");
  const auto kind = kind_of(name);
  if (!kind)
    body.fail("kind", "expected llm, plan, tools, tool_result, subagent, retrieval or compaction");
  else
    question->kind = *kind;
  const std::string tools_mode = body.text("tools_mode");
  if (!tools_mode.empty() && tools_mode != "strict" && tools_mode != "used")
    body.fail("tools_mode", "expected \"strict\" or \"used\"");
  question->tools_by_use = tools_mode == "used";
  question->versions = read_versions(view, body);
  question->deps = read_dependencies(view, body);
  question->run = body.text("run");
  if (const auto age = body.number("max_age", 0, kMaxSeconds)) question->max_age_s = static_cast<int64_t>(*age);
  question->wait_ms = static_cast<int64_t>(body.number("wait", 0, kMaxWait_s).value_or(0) * 1000);
  question->explain = body.boolean("explain", false);
  const bool by_meaning = body.boolean("semantic", true);
  const uint32_t parts = body.object("parts");
  if (parts == JsonView::kNone || view.children(parts) == 0)
    body.fail("parts", "expected an object with at least one member; together they are the key");
  const std::string intent = body.text("intent");
  if (!intent.empty() && kind && !may_name_intent(*kind)) body.fail("intent", "kinds tools and plan only");
  if (!intent.empty() && !view.is(view.member(parts, intent), JsonType::kString))
    body.fail("intent", "expected the name of a part that is a string");
  LookupCall out{.question = nullptr, .scope = body.text("scope")};
  if (!body.status()) return base::fail(body.status().error());
  read_parts(*question, view, parts, by_meaning, intent, known, owner);
  for (size_t i = 1; i < question->parts.size(); ++i)
    if (question->parts[i].name == question->parts[i - 1].name)
      return base::fail(base::Code::kInvalid, fmt::format("parts.{}: given twice", question->parts[i].name));
  out.question = std::move(question);
  return out;
}

base::Result<CommitCall> read_commit(std::string_view text) {
  PAYONCE_TRY(const JsonView view, object_of(text));
  Body body(view, 0, "", {"ticket", "run", "value", "outcome", "deps", "ttl", "usage", "used"});
  CommitCall out;
  out.outcome = body.required_text("outcome");
  out.run = body.text("run");
  out.commit.ticket = body.text("ticket");
  if (out.run.empty() == out.commit.ticket.empty()) body.fail("", "expected either a ticket or a run");
  out.commit.pending = out.outcome == "pending";
  const uint32_t value = body.member("value");
  if (!out.run.empty()) {
    if (out.commit.pending) body.fail("outcome", "a run ends with \"success\", or with why not");
    if (value != JsonView::kNone) body.fail("value", "a run's values were given with their tickets");
  } else if (value != JsonView::kNone) {
    out.commit.value = view.tape().raw(view.text(), value);
  } else if (out.outcome == "success" || out.commit.pending) {
    body.fail("value", "missing");
  }
  out.commit.deps = read_dependencies(view, body);
  out.commit.used_tools = read_names(view, "used", body);
  if (const auto ttl = body.number("ttl", 0, kMaxSeconds)) out.commit.ttl_s = static_cast<int64_t>(*ttl);
  read_usage(view, body, out.commit);
  if (!body.status()) return base::fail(body.status().error());
  return out;
}

base::Result<AbortCall> read_abort(std::string_view text) {
  PAYONCE_TRY(const JsonView view, object_of(text));
  Body body(view, 0, "", {"ticket", "run"});
  AbortCall out{.ticket = body.text("ticket"), .run = body.text("run")};
  if (out.ticket.empty() == out.run.empty()) body.fail("", "expected either a ticket or a run");
  if (!body.status()) return base::fail(body.status().error());
  return out;
}

base::Result<Selection> read_invalidate(std::string_view text) {
  PAYONCE_TRY(const JsonView view, object_of(text));
  Body body(view, 0, "", {"entry", "version", "scope", "path", "kind"});
  if (view.children(0) != 1) body.fail("", "expected exactly one of entry, version, scope, path, kind");
  Selection out;
  if (body.has("entry")) out.id = body.required_text("entry");
  if (body.has("version")) out.version = body.required_text("version");
  if (body.has("scope")) out.scope_name = body.required_text("scope");
  if (body.has("path")) {
    out.path = body.required_text("path");
    if (out.path.size() > 1 && out.path.ends_with('/')) out.path.pop_back();
    if (!is_plain_path(out.path)) body.fail("path", "expected an absolute path without . and ..");
  }
  if (body.has("kind")) {
    out.kind = kind_of(body.required_text("kind"));
    if (!out.kind) body.fail("kind", "expected llm, plan, tools, tool_result, subagent, retrieval or compaction");
  }
  if (!body.status()) return base::fail(body.status().error());
  return out;
}

base::Result<FeedbackCall> read_feedback(std::string_view text) {
  PAYONCE_TRY(const JsonView view, object_of(text));
  Body body(view, 0, "", {"entry", "hit", "wrong", "scope"});
  FeedbackCall out{.entry = body.text("entry"), .hit = body.text("hit"), .scope = body.text("scope")};
  if (!body.boolean("wrong", true)) body.fail("wrong", "only true says anything");
  if (out.entry.empty() == out.hit.empty()) body.fail("", "expected either an entry or a hit");
  if (!body.status()) return base::fail(body.status().error());
  return out;
}

base::Result<HintCall> read_hint(std::string_view text) {
  PAYONCE_TRY(const JsonView view, object_of(text));
  Body body(view, 0, "", {"session", "next", "expected_in_s", "event", "expect_return_s", "run"});
  HintCall out{.session = body.required_text("session")};
  const std::string next = body.text("next");
  const std::string event = body.text("event");
  (void)body.text("run");
  (void)body.number("expected_in_s", 0, kMaxSeconds);
  (void)body.number("expect_return_s", 0, kMaxSeconds);
  if (next.empty() == event.empty()) body.fail("", "expected either next or event");
  if (!next.empty() && next != "continue" && next != "idle" && next != "end")
    body.fail("next", "expected \"continue\", \"idle\" or \"end\"");
  if (!event.empty() && event != "open" && event != "turn" && event != "waiting" && event != "end")
    body.fail("event", "expected \"open\", \"turn\", \"waiting\" or \"end\"");
  out.ended = next == "end" || event == "end";
  if (!body.status()) return base::fail(body.status().error());
  return out;
}

}  // namespace payonce::agent
