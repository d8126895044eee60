#include "prefix/breakers/finding.h"

#include <fmt/format.h>

#include <array>

#include "base/assert.h"

namespace payonce::prefix {
namespace {

using enum FixClass;

constexpr std::array<KindInfo, kKindCount> kTable = {{
    {Kind::kClock, "clock", kMove, true, "a date or time in the prefix that moves on",
     "every byte behind it is new at each request", "move it into a block of its own behind the last breakpoint",
     "system: `Current time: 2026-03-03T14:05:09Z`"},
    {Kind::kRandomId, "random_id", kMove, true, "a uuid, nonce, request or trace id",
     "it differs in every request, and all behind it with it",
     "move it behind the last breakpoint, or leave it out: the model has no use for it",
     "system: `Request-ID: 6f1c2f0e-…`"},
    {Kind::kWorkspaceState, "workspace_state", kMove, true,
     "working directory, git status, environment, counters: state that changes as tools run",
     "the block is rendered anew at each turn", "freeze the first value and append changes, or move the block back",
     "system: `M src/app.py`, `Tokens left: 48,113`"},
    {Kind::kUserIdentity, "user_identity", kMove, true, "a user's, session's or account's name, e-mail or id",
     "users and sessions cannot share what stands behind it",
     "move it below a breakpoint that all users share, or set two breakpoints",
     "system: `You are helping Alice <alice@example.com>`"},
    {Kind::kBillingHeader, "billing_header", kCanonicalise, true,
     "the line `x-anthropic-billing-header: …` in the system text",
     "other providers read it as text, and its hash differs in every request",
     "strip it for upstreams other than Anthropic", "`x-anthropic-billing-header: cc_version=2.1.36; cch=a1b2c;`"},
    {Kind::kWhitespaceDrift, "whitespace_drift", kReplay, false,
     "the same text with other white space, line ends or escapes", "tokens are made of bytes, not of words",
     "replay the first spelling; white space outside strings can be canonicalised", "`\\r\\n` here, `\\n` there"},
    {Kind::kToolOrder, "tool_order", kCanonicalise, true, "the same tools in another order",
     "tools come first: all that follows is new", "keep one order: first seen, or sorted by name",
     "`[read, write]`, then `[write, read]`"},
    {Kind::kToolSet, "tool_set", kRoute, true, "tools arrive late, drop out or change inside a session",
     "tools come first: all that follows is new", "hold the superset and append late tools at the end",
     "an MCP server connects after the first turn"},
    {Kind::kJsonKeyOrder, "json_key_order", kCanonicalise, true,
     "equal JSON with its keys in another order: schemas, tool calls' input",
     "schemas and inputs are shown to the model in the order of their keys",
     "sort the keys of schemas; replay the first spelling of history",
     "`{\"type\":…,\"properties\":…}` and reversed"},
    {Kind::kHistoryRespelled, "history_respelled", kReplay, true,
     "a past message of equal value in other bytes: escapes, numbers, spacing or order of arguments",
     "the past is rendered differently, so it is another past", "replay the bytes that were sent first",
     "`\"arguments\":\"{\\\"a\\\":1}\"`, then `\"{\\\"a\\\": 1}\"`"},
    {Kind::kHistoryEdited, "history_edited", kAdvise, false, "a past message was changed, put in or taken out",
     "all behind the change is new", "edit rarely and in batches, near the end",
     "`[old tool result cleared]` in messages[2]"},
    {Kind::kFrontTruncation, "front_truncation", kAdvise, false, "the oldest messages are cut off the front",
     "what is left starts elsewhere: nothing of the history matches",
     "cut rarely and much, not a message at every turn", "a sliding window of the last 20 messages"},
    {Kind::kReasoningStripped, "reasoning_stripped", kReplay, true,
     "reasoning of an assistant turn is left out, or put back", "the turn shrank, and all behind it moved",
     "replay the recorded turn while the model stays the same", "`thinking` blocks of older turns removed"},
    {Kind::kImageBytes, "image_bytes", kCanonicalise, true,
     "a past image in other bytes, under another signed address, or gone",
     "the image's bytes or address are part of the prefix", "replay the first-seen bytes of an equal image",
     "`…/a.png?sig=1`, then `…/a.png?sig=2`"},
    {Kind::kToolChoiceFlip, "tool_choice_flip", kAdvise, false,
     "tool_choice (or another rule for the answer's form) differs inside a session",
     "providers keep the messages under this setting", "keep it for a session, or put such calls last",
     "`tool_choice: auto`, then `{\"type\":\"tool\",…}`"},
    {Kind::kModelFlip, "model_flip", kAdvise, false, "another model inside a session",
     "each model has a cache of its own", "pin the model for a session",
     "`claude-sonnet-5`, then `claude-haiku-4-5`, and back"},
    {Kind::kThinkingFlip, "thinking_flip", kAdvise, false,
     "thinking, reasoning effort or verbosity differs inside a session",
     "providers keep the messages (some models: all) under this setting", "pin it for a session",
     "`thinking: {budget_tokens: 4096}`, then none"},
    {Kind::kProviderFlip, "provider_flip", kRoute, true, "a session moves to another provider or account",
     "caches are not shared between them",
     "route a session to where its prefix is, unless moving pays for the rebuild",
     "Anthropic, then Bedrock, and back"},
    {Kind::kTtlExpired, "ttl_expired", kRoute, true, "the session was idle longer than the entry lived",
     "the entry was gone and had to be written again",
     "choose the longer TTL, or keep the entry alive, where the gaps pay for it", "19 minutes at a TTL of 5"},
    {Kind::kBreakpointOnVolatile, "breakpoint_on_volatile", kMove, true,
     "the breakpoint stands on a block that differs in every request",
     "each request pays for a write that nobody reads", "move the marker to the last stable block before it",
     "`cache_control` on the user's question of one-shot calls"},
    {Kind::kLookbackExceeded, "lookback_exceeded", kMove, true,
     "more blocks were added since the last written position than the provider looks back",
     "the entry is there and is not found", "set one more marker at least every 15 blocks",
     "12 tool calls and their results in one turn"},
    {Kind::kBelowMinimum, "below_minimum", kAdvise, true, "the marked prefix is shorter than the model's minimum",
     "nothing is cached, and nothing is said", "drop the marker, or mark a later block",
     "700 tokens marked; the minimum is 1,024"},
    {Kind::kFanOut, "fan_out", kRoute, true,
     "calls with one new prefix are sent before the first of them has answered",
     "an entry can be read only once the first answer has begun: each call writes it",
     "send one, hold the rest until its first event", "8 sub-agents started at once"},
    {Kind::kPrefixRate, "prefix_rate", kRoute, true, "more than 15 requests a minute on one prefix and key",
     "the provider spills over to machines that do not hold the prefix", "split prompt_cache_key",
     "40 requests a minute with one system text"},
    {Kind::kChunkOrder, "chunk_order", kCanonicalise, false,
     "the same documents, chunks or examples in another order", "from the first one that moved on, all is new",
     "keep the order in which they were first seen; say the ranking behind them",
     "chunks by score: `[3,1,2]`, `[1,2,3]`"},
    {Kind::kLateDocument, "late_document", kAdvise, false,
     "a long text that stays stands behind a short one that changes", "the stable part never becomes a prefix",
     "put the document first, the question last", "`Question: …` above 20 KB of manual"},
    {Kind::kCompaction, "compaction", kAdvise, false,
     "a conversation is sent for summing up under another system text, or its history is replaced by a summary",
     "the whole history is paid for again", "ask for the summary at the end of the same prefix",
     "history as one text under `Summarise this conversation`"},
    {Kind::kPromptVariants, "prompt_variants", kAdvise, false,
     "a few versions of one prompt, or of its markers, take turns at one call site",
     "each version warms a cache of its own", "send one version, or keep each session on one",
     "`Prompt v12` and `v13` behind an A/B flag"},
}};

}  // namespace

std::string_view fix_class_name(FixClass fix_class) {
  switch (fix_class) {
    case kCanonicalise: return "canonicalise";
    case kReplay: return "replay";
    case kMove: return "move";
    case kRoute: return "route";
    case kAdvise: return "advise";
  }
  return "advise";
}

std::span<const KindInfo> all_kinds() { return kTable; }

const KindInfo& info(Kind kind) {
  const KindInfo& row = kTable[static_cast<size_t>(kind)];
  PAYONCE_ASSERT(row.kind == kind);
  return row;
}

std::optional<Kind> find_kind(std::string_view name) {
  for (const KindInfo& row : kTable)
    if (row.name == name) return row.kind;
  return std::nullopt;
}

std::string catalogue_markdown() {
  std::string out =
      "| kind | what it is | why it breaks | fix | class | safe | example |\n|---|---|---|---|---|---|---|\n";
  for (const KindInfo& row : kTable)
    out += fmt::format("| `{}` | {} | {} | {} | {} | {} | {} |\n", row.name, row.what, row.why, row.fix,
                       fix_class_name(row.fix_class), row.safe ? "yes" : "no", row.example);
  return out;
}

}  // namespace payonce::prefix
