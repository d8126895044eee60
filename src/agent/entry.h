// An entry of the agent cache: what is known of it beside its value. The values lie in the response store, each with
// this behind it, so that a restart finds both.  Threads: values, immutable once made.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/question.h"
#include "agent/workspace/dependency.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/result.h"
#include "cache/entry.h"

namespace payonce::agent {

// Enough of a part to say whether another one is the same.
struct PartMark {
  std::string name;
  std::string digest;  // 16 hex digits
  bool operator==(const PartMark&) const = default;
};
std::vector<PartMark> marks_of(const std::vector<Part>& parts);

struct Entry {
  Kind kind = Kind::kLlm;
  std::string key;
  std::string credential, scope, scope_names, versions, tools_tag, run;
  std::string nonce;   // random, so that each value has an id of its own
  std::string intent;  // intent_key() of the question, or ""
  std::string names;   // digest of names_in() its text, or ""
  std::vector<PartMark> parts;
  std::vector<Observed> observed;
  int64_t input_tokens = 0, output_tokens = 0;  // that a hit spares, as the caller said at commit
  double cost_usd = 0;
  int64_t created_ms = 0, expires_ms = 0;  // unix
  uint64_t value_bytes = 0;
  std::string id() const;  // "e-…": this value under its key, not the one that may replace it
  size_t weight() const;   // bytes of memory, about
};
using EntryPtr = std::shared_ptr<const Entry>;
size_t weight_of(const std::vector<Observed>& all);  // the same

// As the response store keeps it: the value's JSON, a line break, and the rest as JSON on one line.
cache::EntryPtr stored_form(const Entry& entry, std::string_view value);
// kCorrupt: not written by us.
base::Result<Entry> read_entry(const cache::Entry& stored);
base::Bytes value_of(const cache::Entry& stored);

}  // namespace payonce::agent
