// What a lookup asks for, and its key.  Threads: values, immutable once made.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/kind.h"
#include "agent/workspace/dependency.h"
#include "base/hash.h"
#include "identity/scope.h"
#include "llm/json_view.h"

namespace payonce::identity {
class PartDigests;
}

namespace payonce::agent {

// Version of how parts become a key: part of every key.
inline constexpr std::string_view kKeyVersion = "v1";

using identity::Caller;  // nothing ever crosses its credential; its scope is part of every key

struct Part {
  std::string name;
  base::Digest digest{};  // of its canonical JSON
};

struct Question {
  Kind kind = Kind::kLlm;
  std::vector<Part> parts;    // sorted by name, none twice
  std::string versions;       // "kb=2026-11,tools=v3", sorted
  std::string tools_tag;      // "tools:v1:…" where parts name tools, else ""
  bool tools_by_use = false;  // the tools are no part of the key; those that were used are dependencies
  std::vector<Dependency> deps;
  std::string run;
  std::string model;  // where parts name one: for the price of what a hit spares
  std::optional<int64_t> max_age_s;
  int64_t wait_ms = 0;  // for another caller's commit
  bool explain = false;
  // To be looked up by meaning, too: the text, and the name of the part that it is. Empty: exactly or not at all.
  std::string text, text_part;
};
using QuestionPtr = std::shared_ptr<const Question>;

// Fills in parts, and what follows from them (tools_tag, kTool dependencies where tools_by_use, text where it may be
// matched by meaning). `parts` is an object in `body`.
// `owner`: whose earlier parts may make it quicker.
// `intent`: the name of a string part that counts by its intent_of(); empty: none.
void read_parts(Question& question, const llm::JsonView& body, uint32_t parts, bool by_meaning,
                std::string_view intent, identity::PartDigests& known, std::string_view owner = {});

std::string key_of(const Question& question, std::string_view scope);  // "plan:v1:u-…:…"
// What must be equal before two texts may be compared: the key without the text.
std::string context_of(const Question& question, std::string_view scope);
// Of a question with a text: equal for two that ask for the same with other manners (intent.h), all else being equal.
std::string intent_key(const Question& question, std::string_view scope);
// Of its text: tasks that name other things are never one in meaning.
std::string names_key(const Question& question);

}  // namespace payonce::agent
