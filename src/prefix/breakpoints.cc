#include "prefix/breakpoints.h"

#include <algorithm>

#include "prefix/saved_state.h"

namespace payonce::prefix {
namespace {

constexpr WriteGate::Options kGate{.positions = size_t{1} << 16, .prompts = size_t{1} << 14};  // about 6 MB
constexpr double kKnownGaps = 200;  // observations from which the gaps say what is cheaper

bool has_marks(const prompt_cache::Rule& rule) { return !spelling_of(rule).member.empty(); }

// The provider sets one itself, at the end.
bool sets_its_own(const MarkRequest& request) {
  using prompt_cache::Automatic;
  const Automatic automatic = request.rule.provider->automatic;
  return automatic == Automatic::kImplicit ||
         (automatic == Automatic::kOnRequest && request.prompt.automatic != Marker::kNone && request.keeps_automatic);
}

// Where marks may stand: indices into the sent blocks.
std::vector<uint32_t> places(const MarkRequest& request) {
  std::vector<uint32_t> out;
  for (uint32_t i = 0; i < std::min<size_t>(request.stable, request.sent.size()); ++i)
    if (request.prompt.blocks[request.sent[i].block].markable) out.push_back(i);
  return out;
}

// Of the places, the last in the tools and the last in the system text.
std::vector<uint32_t> edges(const MarkRequest& request, const std::vector<uint32_t>& places) {
  std::vector<uint32_t> out;
  for (uint32_t i = 0; i + 1 < places.size(); ++i) {
    const Section section = request.prompt.blocks[request.sent[places[i]].block].section;
    if (section != request.prompt.blocks[request.sent[places[i + 1]].block].section) out.push_back(i);
  }
  return out;
}

// The client's marks as indices into `places`; one that cannot be read gives way to the last that can.
std::vector<uint32_t> clients_marks(const MarkRequest& request, const std::vector<uint32_t>& places) {
  std::vector<uint32_t> out;
  for (uint32_t i = 0; i < request.sent.size(); ++i) {
    if (request.prompt.blocks[request.sent[i].block].marker == Marker::kNone) continue;
    const auto behind = std::upper_bound(places.begin(), places.end(), i);
    if (behind == places.begin()) continue;
    const auto place = static_cast<uint32_t>(behind - places.begin() - 1);
    if (request.sent[places[place]].tokens_through >= request.rule.min_tokens && (out.empty() || out.back() != place))
      out.push_back(place);
  }
  return out;
}

}  // namespace

MarkerSpelling spelling_of(const prompt_cache::Rule& rule) {
  const bool has_long = rule.provider->long_ttl.has_value();
  switch (rule.provider->marker) {
    case prompt_cache::Marker::kCacheControl:
      return {"cache_control", R"({"type":"ephemeral"})", has_long ? R"({"type":"ephemeral","ttl":"1h"})" : ""};
    case prompt_cache::Marker::kPromptCacheBreakpoint:
      return {"prompt_cache_breakpoint", R"({"mode":"explicit"})", ""};
    case prompt_cache::Marker::kNone:
    case prompt_cache::Marker::kCachePoint:     // of a dialect that passes through
    case prompt_cache::Marker::kCachedContent:  // a resource of its own, no mark
      break;
  }
  return {};
}

MarkPlan Breakpoints::plan(const MarkRequest& request) {
  const std::vector<uint32_t> at = places(request);
  std::vector<Position> positions;
  for (const uint32_t i : at) positions.push_back({request.sent[i].chain, request.sent[i].tokens_through});
  const prompt_cache::Rule& rule = request.rule;
  int64_t max_marks = has_marks(rule) ? rule.provider->max_breakpoints : 0;
  if (max_marks > 0 && sets_its_own(request)) --max_marks;
  std::vector<uint32_t> given = max_marks > 0 ? clients_marks(request, at) : std::vector<uint32_t>();
  if (given.size() > static_cast<size_t>(max_marks)) given.erase(given.begin(), given.end() - max_marks);

  const std::vector<uint32_t> section_ends = edges(request, at);

  const std::lock_guard lock(mutex_);
  if (!gate_) gate_ = std::make_unique<WriteGate>(kGate);
  const TtlPrices ttl_prices{.write_short = rule.short_ttl.write_factor,
                             .write_long = rule.provider->long_ttl ? rule.long_ttl.write_factor : 0,
                             .read = rule.read_factor,
                             .short_ms = rule.short_ttl.ttl_ms,
                             .long_ms = rule.long_ttl.ttl_ms};
  const bool lasts = gate_->gaps().weight() >= kKnownGaps && ttl_prices.write_long > 0 &&
                     choose_ttl(gate_->gaps(), ttl_prices).keep == Keep::kLong;
  const prompt_cache::TtlClass& ttl = lasts ? rule.long_ttl : rule.short_ttl;
  const Decision decision =
      gate_->decide({.positions = positions,
                     .input_tokens = request.sent.empty() ? 0 : request.sent.back().tokens_through,
                     .now_ms = request.now_ms,
                     .hints = request.hints,
                     .given = given,
                     .edges = section_ends},
                    {.prices = {.write = ttl.write_factor, .read = rule.read_factor},
                     .ttl_ms = ttl.ttl_ms,
                     .max_marks = static_cast<size_t>(max_marks),
                     .min_tokens = static_cast<uint32_t>(rule.min_tokens)});

  MarkPlan out{.shared_tokens = decision.shared_tokens,
               .read_tokens = decision.read_tokens,
               .reuse = decision.reuse,
               .number = decision.number};
  uint32_t last_long = 0;  // sent blocks up to the client's last long mark: nothing short goes before it
  for (uint32_t i = 0; i < request.sent.size(); ++i)
    if (request.prompt.blocks[request.sent[i].block].marker == Marker::kLong) last_long = i + 1;
  for (const uint32_t place : decision.marks) {
    const uint32_t block = request.sent[at[place]].block;
    const Marker clients = request.prompt.blocks[block].marker;
    const Marker ours = lasts ? Marker::kLong : Marker::kShort;
    const Marker chosen = clients != Marker::kNone ? clients : at[place] < last_long ? Marker::kLong : ours;
    out.marked += clients == Marker::kNone ? 1 : 0;
    out.marks.push_back({.block = block, .ttl = chosen});
    if (request.sent[at[place]].tokens_through > decision.read_tokens)
      out.written.push_back(request.sent[at[place]].chain);
  }
  // A long TTL behind a short one is an error at some providers.
  bool has_short = false;
  for (Mark& mark : out.marks) {
    if (has_short) mark.ttl = Marker::kShort;
    has_short = has_short || mark.ttl == Marker::kShort;
  }
  for (const Block& block : request.prompt.blocks)
    if (block.marker != Marker::kNone) ++out.unmarked;
  for (const Mark& mark : out.marks)
    if (request.prompt.blocks[mark.block].marker != Marker::kNone) --out.unmarked;
  return out;
}

void Breakpoints::save(std::string& out) {
  const std::lock_guard lock(mutex_);
  put_text(out, gate_ ? gate_->save() : std::string());
}

bool Breakpoints::load(base::NumberReader& from) {
  const std::string bytes = take_text(from);
  if (bytes.empty()) return from.ok();
  auto gate = std::make_unique<WriteGate>(kGate);
  if (!gate->load(bytes)) return false;
  const std::lock_guard lock(mutex_);
  gate_ = std::move(gate);
  return true;
}

uint32_t Breakpoints::pings_worth(const TtlPrices& prices) {
  const std::lock_guard lock(mutex_);
  return gate_ && gate_->gaps().weight() >= kKnownGaps ? choose_pings(gate_->gaps(), prices) : 0;
}

void Breakpoints::answered(uint64_t number, uint32_t output_tokens) {
  const std::lock_guard lock(mutex_);
  if (gate_) gate_->answered(number, output_tokens);
}

}  // namespace payonce::prefix
