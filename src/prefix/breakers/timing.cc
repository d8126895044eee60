#include "prefix/breakers/timing.h"

#include <fmt/format.h>

#include <algorithm>

#include "prefix/breakers/json_place.h"

namespace payonce::prefix {
namespace {

constexpr size_t kMaxPrefixes = 8192;
constexpr int64_t kMinuteMs = 60'000;
constexpr int64_t kUnknownFirstByteMs = 1000, kLongFirstByteMs = 4000;
constexpr size_t kLongTextBytes = 400, kMaxKeptTextBytes = 16'384, kMaxKeptBlocks = 512;
constexpr int64_t kRoundingMs = 2;  // of two starts and a latency, each in whole ms
constexpr uint32_t kFanOut = 3;     // calls from which it is worth holding them …
constexpr int64_t kBurstMs = 250;   // … two, if they are sent at once

// Indexes of the blocks up to which the request asks to write.
std::vector<uint32_t> written_blocks(const KeptRequest& kept) {
  std::vector<uint32_t> out;
  const std::vector<Block>& blocks = kept.prompt.blocks;
  for (uint32_t i = 0; i < blocks.size(); ++i)
    if (blocks[i].marker != Marker::kNone || (kept.prompt.automatic != Marker::kNone && i + 1 == blocks.size()))
      out.push_back(i);
  return out;
}

bool asks_for_long(const KeptRequest& kept) {
  return kept.prompt.automatic == Marker::kLong ||
         std::any_of(kept.prompt.blocks.begin(), kept.prompt.blocks.end(),
                     [](const Block& block) { return block.marker == Marker::kLong; });
}

double lost_factor(const KeptRequest& kept, const ProviderFacts& facts) {
  const bool writes = !facts.needs_markers || asks_for_caching(kept);
  const double write = !writes ? 1.0 : asks_for_long(kept) ? facts.long_write_factor : facts.short_write_factor;
  return write - facts.read_factor;
}

Break break_at(const KeptRequest& now, Kind kind, uint32_t node, std::string detail) {
  Break out;
  out.kind = kind;
  out.path = path_to(now.tape(), now.body(), node);
  out.place = "timing";
  out.byte_offset = now.tape()[node].begin;
  out.bytes = now.tape()[node].size;
  out.detail = std::move(detail);
  return out;
}

// The block's marker, or the value that it stands on.
uint32_t marker_node(const KeptRequest& kept, const Block& block) {
  for (const std::string_view name : {"cache_control", "prompt_cache_breakpoint"})
    if (kept.tape()[block.node].type == llm::JsonType::kObject)
      if (const uint32_t node = kept.tape().find(kept.body(), block.node, name); node != llm::Tape::kNone)
        return node;
  return block.node;
}

}  // namespace

bool asks_for_caching(const KeptRequest& kept) { return !written_blocks(kept).empty(); }

void TimingRules::expired(const KeptRequest& now, const KeptRequest& previous, const ProviderFacts& facts,
                          std::vector<TimedBreak>& out) {
  if (now.meta.unix_ms == 0 || previous.meta.unix_ms == 0) return;
  if (facts.needs_markers && !asks_for_caching(previous)) return;
  const double shared = std::min(previous.prompt.tokens(), now.prompt.tokens());
  if (shared < facts.minimum_tokens) return;
  int64_t ttl_s = asks_for_long(previous) ? facts.long_ttl_s : facts.short_ttl_s;
  if (string_member(previous.tape(), previous.body(), 0, "prompt_cache_retention") == "24h") ttl_s = 86'400;
  const int64_t gap_s = (now.meta.unix_ms - previous.meta.unix_ms) / 1000;
  if (gap_s <= ttl_s) return;
  if (now.meta.usage.known && static_cast<double>(now.meta.usage.read) > shared / 2) return;  // it was there
  const uint32_t last = std::min(previous.messages(), now.messages());
  const uint32_t node = last > 0 ? now.message(last - 1).node : 0;
  Break made =
      break_at(now, Kind::kTtlExpired, node, fmt::format("idle for {} s, the entry lives {} s", gap_s, ttl_s));
  out.push_back({std::move(made), shared, lost_factor(now, facts)});
}

void TimingRules::looked_back(const KeptRequest& now, const KeptRequest& previous, const ProviderFacts& facts,
                              std::vector<TimedBreak>& out) {
  if (facts.look_back == 0) return;
  const std::vector<uint32_t> was = written_blocks(previous), is = written_blocks(now);
  if (was.empty() || is.empty()) return;
  // Positions are counted from the first message: what changed in front of it is another finding.
  const uint32_t head_was = previous.prompt.first_of(Section::kMessages),
                 head_is = now.prompt.first_of(Section::kMessages);
  if (was.back() < head_was) return;
  const base::Hash128& value = previous.prompt.blocks[was.back()].value;
  uint32_t written = std::min(was.back() - head_was + head_is, static_cast<uint32_t>(now.prompt.blocks.size()) - 1);
  while (written > head_is && now.prompt.blocks[written].value != value) --written;  // blocks in front may be gone
  if (now.prompt.blocks[written].value != value) return;
  const auto marker = std::find_if(is.begin(), is.end(), [&](uint32_t block) { return block >= written; });
  if (marker == is.end() || *marker - written < facts.look_back) return;
  // What a marker in front still finds.
  uint32_t found = 0;
  for (const uint32_t block : is)
    if (block < written && std::find(was.begin(), was.end(), block) != was.end())
      found = now.prompt.blocks[block].tokens_through;
  const Block& block = now.prompt.blocks[*marker];
  Break made = break_at(now, Kind::kLookbackExceeded, marker_node(now, block),
                        fmt::format("{} positions behind the last written one; {} are looked through",
                                    *marker - written, facts.look_back));
  made.position = found;
  out.push_back({std::move(made), static_cast<double>(now.prompt.blocks[written].tokens_through - found),
                 lost_factor(now, facts)});
}

// Markers that are there in one request and not in the next.
void TimingRules::toggled(const KeptRequest& now, const KeptRequest& previous, std::vector<TimedBreak>& out) {
  if (now.request.dialect != llm::Dialect::kAnthropicMessages || asks_for_caching(now) == asks_for_caching(previous))
    return;
  const std::vector<uint32_t> is = written_blocks(now);
  const uint32_t node = !is.empty()                         ? marker_node(now, now.prompt.blocks[is.front()])
                        : now.prompt.system_node != kNoNode ? now.prompt.system_node
                                                            : 0;
  Break made = break_at(now, Kind::kPromptVariants, node, is.empty() ? "its markers are gone" : "markers came in");
  if (is.empty()) made.bytes = 0;
  out.push_back({std::move(made),
                 is.empty() ? static_cast<double>(std::min(previous.prompt.tokens(), now.prompt.tokens())) : 0.0,
                 0.9});
}

void TimingRules::fanned_out(const KeptRequest& now, uint32_t site, const ProviderFacts& facts,
                             std::vector<TimedBreak>& out) {
  if (now.meta.unix_ms == 0 || now.prompt.blocks.empty()) return;
  const base::Hash128 whole = now.prompt.blocks.back().chain;
  const int64_t first_byte = now.meta.first_byte_ms >= 0 ? now.meta.first_byte_ms
                             : now.meta.latency_ms >= 0  ? std::min(now.meta.latency_ms, kLongFirstByteMs)
                                                         : kUnknownFirstByteMs;
  const auto check = [&](const std::string& key, uint32_t tokens, uint32_t node) {
    if (tokens < facts.minimum_tokens) return false;
    if (prefixes_.size() >= kMaxPrefixes) prefixes_.clear();
    Prefix& prefix = prefixes_[key];
    if (prefix.sent == 0 || now.meta.unix_ms - prefix.last_ms > facts.long_ttl_s * 1000) {
      prefix = {now.meta.unix_ms, now.meta.unix_ms + first_byte, now.meta.unix_ms, 1, false, whole};
      return false;
    }
    prefix.last_ms = now.meta.unix_ms;
    if (now.meta.unix_ms + kRoundingMs >= prefix.ready_ms || whole == prefix.first) return false;
    const bool burst = now.meta.unix_ms - prefix.cold_ms <= kBurstMs;
    if (++prefix.sent < kFanOut && !burst) return false;
    Break made =
        break_at(now, Kind::kFanOut, node, fmt::format("{} calls before the first had answered", prefix.sent));
    // When the third is the first that is seen, the second was one, too.
    const double calls = prefix.sent == kFanOut && !prefix.told ? 2 : 1;
    prefix.told = true;
    out.push_back({std::move(made), tokens * calls, lost_factor(now, facts)});
    return true;
  };
  const uint32_t head = now.prompt.first_of(Section::kMessages);
  if (head > 0 && check(fmt::format("s{}", site), now.tokens_of_head(), now.prompt.blocks[head - 1].node)) return;
  if (now.messages() < 2) return;
  const uint32_t unit = now.first_message + now.messages() - 2;
  const base::Hash128 chain = now.history[now.messages() - 2];
  (void)check(fmt::format("h{:x}{:x}", chain.low, chain.high), now.tokens_through_unit(unit),
              now.prompt.units[unit].node);
}

void TimingRules::rate(const KeptRequest& now, uint32_t site, const ProviderFacts& facts,
                       std::vector<TimedBreak>& out) {
  if (facts.requests_per_minute == 0 || now.meta.unix_ms == 0) return;
  const uint32_t head = now.prompt.first_of(Section::kMessages);
  if (head == 0 || now.tokens_of_head() < facts.minimum_tokens) return;
  if (starts_.size() >= kMaxPrefixes) starts_.clear();
  std::vector<int64_t>& starts =
      starts_[fmt::format("{}|{}", site, string_member(now.tape(), now.body(), 0, "prompt_cache_key"))];
  std::erase_if(starts, [&](int64_t start) { return start + kMinuteMs <= now.meta.unix_ms; });
  starts.push_back(now.meta.unix_ms);
  if (starts.size() <= facts.requests_per_minute) return;
  Break made = break_at(now, Kind::kPrefixRate, now.prompt.blocks[head - 1].node,
                        fmt::format("{} requests in a minute on one prefix and key", starts.size()));
  out.push_back({std::move(made), static_cast<double>(now.tokens_of_head()), lost_factor(now, facts)});
}

std::vector<TimedBreak> TimingRules::observe(const KeptRequest& now, const KeptRequest* previous, uint32_t site,
                                             const ProviderFacts& facts) {
  std::vector<TimedBreak> out;
  if (previous != nullptr && previous->request.dialect == now.request.dialect) {
    expired(now, *previous, facts, out);
    looked_back(now, *previous, facts, out);
    toggled(now, *previous, out);
  }
  fanned_out(now, site, facts, out);
  rate(now, site, facts, out);
  marks(now, site, facts);
  return out;
}

namespace {

// What a marker stands on, in words that stay as a conversation grows.
std::string slot_name(const KeptRequest& now, uint32_t index) {
  const Block& block = now.prompt.blocks[index];
  if (block.section != Section::kMessages)
    return fmt::format("{}{}", block.section == Section::kSystem ? "system" : "tools",
                       index - now.prompt.units[block.unit].first_block);
  return block.marker == Marker::kNone ? "automatic" : block.ends_message ? "messages" : "part";
}

uint32_t asking_node(const KeptRequest& now, const Block& block) {
  if (block.marker != Marker::kNone) return marker_node(now, block);
  return now.prompt.automatic != Marker::kNone ? now.tape().find(now.body(), 0, "cache_control") : block.node;
}

}  // namespace

void TimingRules::mark(const KeptRequest& now, uint32_t index, SiteMarks& marks, bool& front_read,
                       const ProviderFacts& facts) {
  const std::vector<Block>& blocks = now.prompt.blocks;
  const Block& block = blocks[index];
  const std::string name = slot_name(now, index);
  MarkerSlot& slot = marks.slots[name];
  const bool system = block.text_node != kNoNode && block.section == Section::kSystem;
  const std::string text = system ? now.text(block.text_node) : "";
  // A changed place in a text that stays is told as what the place is.
  if (text.size() >= kLongTextBytes && !slot.last_text.empty() && !compare_text(slot.last_text, text).rewritten)
    ++slot.steady;
  slot.last_text = text.substr(0, kMaxKeptTextBytes);
  if (front_read) ++slot.covered;
  front_read = front_read || slot.reads > 0;
  if (slot.writes++ == 0) {
    slot.request = now.index;
    slot.first = break_at(now, Kind::kBreakpointOnVolatile, asking_node(now, block), "");
    slot.minimum = facts.minimum_tokens;
  }
  // Tokens in front of it that the last request of the site held, too. The head of a site stays by definition, but
  // for slots that are findings of their own.
  uint32_t stable = block.section == Section::kMessages && !marks.last_blocks.empty() ? now.tokens_of_head() : 0;
  for (uint32_t i = stable > 0 ? now.prompt.first_of(Section::kMessages) : 0; i < index; ++i)
    if (std::find(marks.last_blocks.begin(), marks.last_blocks.end(), blocks[i].value.low) != marks.last_blocks.end())
      stable += blocks[i].tokens;
  slot.stable_tokens = std::max(slot.stable_tokens, stable);
  slot.factor = (asks_for_long(now) ? facts.long_write_factor : facts.short_write_factor) - facts.read_factor;
  slot.tokens += stable;
  if (marks.written.size() >= kMaxPrefixes) marks.written.clear();
  marks.written.emplace(block.value.low, name);
}

void TimingRules::marks(const KeptRequest& now, uint32_t site, const ProviderFacts& facts) {
  const std::vector<uint32_t> written = written_blocks(now);
  if (sites_.size() >= kMaxPrefixes) sites_.clear();
  SiteMarks& marks = sites_[site];
  const std::vector<Block>& blocks = now.prompt.blocks;
  // What earlier requests wrote and this one holds is read; blocks are told by what they say, so that another
  // breaker in front of them is not counted again.
  if (!marks.written.empty())
    for (const Block& block : blocks)
      if (const auto it = marks.written.find(block.value.low); it != marks.written.end())
        ++marks.slots[it->second].reads;
  bool front_read = false, above = false;
  for (const uint32_t index : written) {
    above = above || blocks[index].tokens_through * 20 >= facts.minimum_tokens * 17;  // estimates are within 15 %
    mark(now, index, marks, front_read, facts);
  }
  marks.last_blocks.clear();
  if (written.empty()) return;
  for (size_t i = 0; i < std::min(blocks.size(), kMaxKeptBlocks); ++i)
    marks.last_blocks.push_back(blocks[i].value.low);
  const llm::Usage& usage = now.meta.usage;
  if (above || (usage.known && usage.read + usage.write_short + usage.write_long > 0)) {
    ++marks.above;
    return;
  }
  const Block& last = blocks[written.back()];
  if (marks.below++ == 0) {
    marks.request = now.index;
    marks.first_below =
        break_at(now, Kind::kBelowMinimum, asking_node(now, last),
                 fmt::format("about {} tokens marked; the minimum is {}", last.tokens_through, facts.minimum_tokens));
  }
  marks.below_tokens += last.tokens_through;
  marks.factor = 1 - facts.read_factor;
}

std::vector<TimingRules::Late> TimingRules::at_end() const {
  constexpr uint64_t kCallsForAVerdict = 2;  // what happened once costs nothing
  std::vector<Late> out;
  for (const auto& [site, marks] : sites_) {
    if (marks.above == 0 && marks.below >= kCallsForAVerdict)
      out.push_back({site, marks.request, marks.below, {marks.first_below, marks.below_tokens, marks.factor}});
    for (const auto& [key, slot] : marks.slots) {
      // The end of a conversation may still be read by its next turn.
      const uint64_t needed = key.starts_with("system") || key.starts_with("tools") ? 2 : 3;
      if (slot.writes < needed || slot.reads > 0 || slot.covered > 0 || slot.steady > 0 ||
          slot.stable_tokens < slot.minimum)
        continue;
      Late late{site, slot.request, slot.writes, {slot.first, slot.tokens, slot.factor}};
      late.what.what.detail = fmt::format("{} writes, none of them read", slot.writes);
      out.push_back(std::move(late));
    }
  }
  return out;
}

}  // namespace payonce::prefix
