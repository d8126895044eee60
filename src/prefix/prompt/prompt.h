// A request as the row of blocks that a provider's prompt cache sees: tools, system text, the parts of each message.
// Threads: a value; reading any.  Views point into the body and tape of the request that it was read from, which
// outlives it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "llm/request.h"

namespace payonce::prefix {

enum class Section : uint8_t { kTools, kSystem, kMessages };
enum class Role : uint8_t { kNone, kSystem, kUser, kAssistant, kTool };
enum class Marker : uint8_t { kNone, kShort, kLong };  // as the client sent it; kLong: ttl "1h"

inline constexpr uint32_t kNoNode = llm::Tape::kNone;

// Begins the first line of Claude Code's system prompt from 2.1.36 on; its digits change with every session.
inline constexpr std::string_view kBillingLine = "x-anthropic-billing-header:";

// What is given in one piece by the client and replaced in one piece by us: a tool, the system text, a message.
struct Unit {
  Section section = Section::kMessages;
  Role role = Role::kNone;
  uint32_t node = 0;    // of the tape
  uint32_t index = 0;   // in its list ("tools[3]"); 0 where there is no list
  base::Hash128 value;  // of what it says: spelling and markers do not count, and a text counts as its one text part
  uint32_t first_block = 0, blocks = 0;
};

// One position that a provider could have written: all up to and with this block.
struct Block {
  Section section = Section::kMessages;
  Role role = Role::kNone;
  uint32_t unit = 0;             // index into Prompt::units
  uint32_t node = 0;             // the block's value: a tool, a text string, a content part, a whole message
  uint32_t text_node = kNoNode;  // the string that it says, where it is text
  base::Hash128 value;           // of the block alone
  base::Hash128 chain;           // of it and all before it
  uint32_t tokens = 0;           // estimate, of the block alone
  uint32_t tokens_through = 0;   // estimate, of it and all before it
  Marker marker = Marker::kNone;
  bool markable = true;      // may carry a marker in this dialect
  bool ends_message = true;  // last block of its unit
};

// A top-level member beside the blocks, on which a provider's cache may depend: "model", "tool_choice", "thinking" …
struct Parameter {
  std::string_view name;  // static text, never of the body
  base::Hash128 value;
  uint32_t node = 0;
};

struct Prompt {
  const llm::Request* request = nullptr;
  std::vector<Unit> units;    // in the order of the prefix: tools, system, messages
  std::vector<Block> blocks;  // the same
  std::vector<Parameter> parameters;
  Marker automatic = Marker::kNone;  // a top-level cache_control (Anthropic)
  bool has_other_markers = false;    // one says what we do not know: a TTL, a scope
  uint32_t tools_node = kNoNode, system_node = kNoNode, messages_node = kNoNode;

  uint32_t tokens() const { return blocks.empty() ? 0 : blocks.back().tokens_through; }
  // Index of the first block at or after `section`.
  uint32_t first_of(Section section) const;
  base::Hash128 parameter(std::string_view name) const;  // {} if absent
  std::string_view raw(uint32_t node) const { return request->tape.raw(request->body.view(), node); }
  std::string text(uint32_t node) const { return request->tape.decoded(request->body.view(), node); }
};

// Empty for dialects without a prompt (embeddings, other) and for bodies whose shape is not that of the dialect:
// nothing is planned for what is not understood.  `hash`: see stability of hashes there.
std::optional<Prompt> read_prompt(const llm::Request& request, const base::KeyedHash& hash);

// Where a block's text stands, as the findings write it: "tools[2]", "system", "system[1].text",
// "messages[4].content[0].text", "input[3]", "instructions".
std::string path_of(const Prompt& prompt, const Block& block);

}  // namespace payonce::prefix
