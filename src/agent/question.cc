#include "agent/question.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "agent/intent.h"
#include "identity/cache_key.h"
#include "identity/canonical_json.h"
#include "identity/part_digests.h"

namespace payonce::agent {
namespace {

using llm::JsonType;
using llm::JsonView;

constexpr size_t kKnownPartBytes = 512;  // smaller ones are hashed as fast as they are found
constexpr size_t kMaxTextBytes = 4096;   // that the embedder may read
constexpr size_t kTagDigits = 16;

base::Digest digest_of(const JsonView& body, uint32_t node) {
  return base::sha256(identity::canonical_json(body.tape(), body.text(), node));
}

// An agent's turns repeat their tools, system text and messages byte for byte.
base::Digest digest_of(const JsonView& body, uint32_t node, identity::PartDigests& known, std::string_view owner) {
  const std::string_view raw = body.tape().raw(body.text(), node);
  if (raw.size() < kKnownPartBytes) return digest_of(body, node);
  const base::Hash128 key = known.hash("part", "agent", owner, raw);
  if (const auto found = known.find(key)) return found->sha256;
  const base::Digest out = digest_of(body, node);
  known.insert(key, {.sha256 = out});
  return out;
}

std::string tool_name(const JsonView& body, uint32_t tool) {
  if (body.is(tool, JsonType::kString)) return body.string(tool);
  const uint32_t function = body.member(tool, "function");  // OpenAI's chat shape
  return body.string(body.member(function == JsonView::kNone ? tool : function, "name"));
}

// Each tool by name, with a digest of all that is said of it (description, schema, implementation version).
std::vector<Dependency> tools_of(const JsonView& body, uint32_t tools) {
  std::vector<Dependency> out;
  if (!body.is(tools, JsonType::kArray)) return out;
  uint32_t at = tools + 1;
  for (size_t i = 0; i < body.children(tools); ++i, at = body.tape()[at].next)
    out.push_back({DependencyType::kTool, tool_name(body, at), base::hex(digest_of(body, at))});
  std::sort(out.begin(), out.end(),
            [](const auto& a, const auto& b) { return std::tie(a.name, a.value) < std::tie(b.name, b.value); });
  return out;
}

base::Digest digest_of(const std::vector<Dependency>& tools) {
  base::Sha256 hash;
  for (const Dependency& tool : tools) hash.update(fmt::format("{}:{}={};", tool.name.size(), tool.name, tool.value));
  return hash.finish();
}

// The tag of tools that were seen before needs no look at each of them.
void read_tools(Question& question, const JsonView& body, uint32_t tools, identity::PartDigests& known,
                std::string_view owner) {
  const base::Hash128 key = known.hash("tag", "agent", owner, body.tape().raw(body.text(), tools));
  auto found = known.find(key);
  if (!found || question.tools_by_use) {
    std::vector<Dependency> named = tools_of(body, tools);
    const identity::PartDigests::Digest digest{.sha256 = digest_of(named)};
    if (!found) known.insert(key, digest);
    found = std::make_shared<const identity::PartDigests::Digest>(digest);
    if (question.tools_by_use) std::move(named.begin(), named.end(), std::back_inserter(question.deps));
  }
  question.tools_tag = fmt::format("tools:{}:{}", kKeyVersion, base::hex(found->sha256).substr(0, kTagDigits));
}

void add(base::Sha256& hash, std::string_view text) {
  hash.update(fmt::format("{}:", text.size()));
  hash.update(text);
}

base::Digest hash_of(const Question& question, std::string_view scope, const std::string* left_out) {
  base::Sha256 hash;
  add(hash, left_out == nullptr ? "agent" : "agent context");
  add(hash, kind_name(question.kind));
  add(hash, scope);
  add(hash, question.versions);
  add(hash, question.tools_by_use ? "used" : "strict");
  if (left_out != nullptr) add(hash, *left_out);
  for (const Part& part : question.parts) {
    if ((left_out != nullptr && part.name == *left_out) || (question.tools_by_use && part.name == "tools")) continue;
    add(hash, part.name);
    add(hash, {reinterpret_cast<const char*>(part.digest.data()), part.digest.size()});
  }
  return hash.finish();
}

}  // namespace

void read_parts(Question& question, const JsonView& body, uint32_t parts, bool by_meaning, std::string_view intent,
                identity::PartDigests& known, std::string_view owner) {
  uint32_t at = parts + 1;
  for (size_t i = 0; i < body.children(parts); ++i, at = body.tape()[at + 1].next) {
    std::string name = body.string(at);
    const bool by_intent = !intent.empty() && name == intent;
    const base::Digest digest =
        by_intent ? base::sha256("intent:" + intent_of(body.string(at + 1))) : digest_of(body, at + 1, known, owner);
    question.parts.push_back({std::move(name), digest});
  }
  std::sort(question.parts.begin(), question.parts.end(),
            [](const Part& a, const Part& b) { return a.name < b.name; });
  if (const uint32_t tools = body.member(parts, "tools"); tools != JsonView::kNone)
    read_tools(question, body, tools, known, owner);
  question.model = body.string(body.member(parts, "model"));
  if (!by_meaning || !may_match_by_meaning(question.kind)) return;
  static constexpr std::array<std::string_view, 4> kTexts = {"task", "query", "question", "prompt"};
  for (const std::string_view name : kTexts) {
    std::string text = body.string(body.member(parts, name));
    if (text.empty() || text.size() > kMaxTextBytes) continue;
    question.text = std::move(text);
    question.text_part = name;
    return;
  }
}

std::string key_of(const Question& question, std::string_view scope) {
  return identity::CacheKey{.kind = std::string(kind_name(question.kind)),
                            .version = std::string(kKeyVersion),
                            .scope = std::string(scope),
                            .hash = hash_of(question, scope, nullptr)}
      .text();
}

std::string context_of(const Question& question, std::string_view scope) {
  return "agent:" + base::hex(hash_of(question, scope, &question.text_part));
}

std::string intent_key(const Question& question, std::string_view scope) {
  return base::hex(base::sha256(context_of(question, scope) + "\n" + intent_of(question.text)));
}

std::string names_key(const Question& question) {
  return base::hex(base::sha256(names_in(question.text))).substr(0, kTagDigits);
}

}  // namespace payonce::agent
