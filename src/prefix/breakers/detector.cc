#include "prefix/breakers/detector.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "prefix/breakers/breaks.h"
#include "prefix/breakers/collector.h"
#include "prefix/breakers/history_leaves.h"
#include "prefix/breakers/linker.h"
#include "prefix/breakers/timing.h"

namespace payonce::prefix {
namespace {

constexpr int64_t kDateMatters_ms = 3'600'000;  // two days' dates differ: that costs only while an entry lives

constexpr double kAlikeQuestions = 0.5;  // two user texts that share less have nothing to put in order

// A summing up is asked for under another head, with fewer tools.
bool asks_for_summary(const KeptRequest& now, const KeptRequest& before) {
  if (now.messages() == 0) return false;
  const bool fewer_tools = now.prompt.tools_node == kNoNode && before.prompt.tools_node != kNoNode;
  return fewer_tools || is_summary(text_of_message(now, now.message(now.messages() - 1))) ||
         (now.first_message > 0 &&
          is_summary(
              now.text(now.prompt.blocks.front().text_node != kNoNode ? now.prompt.blocks.front().text_node : 0)));
}

}  // namespace

struct Detector::State {
  State(const llm::PriceTable& price_table, const Limits& limits, FactsOf of)
      : prices(price_table),
        facts_of(std::move(of)),
        linker({.memory_bytes = limits.memory_bytes, .conversations = limits.conversations, .sites = limits.sites}) {}

  ProviderFacts facts(const KeptRequest& now) const {
    ProviderFacts out =
        facts_of ? facts_of(now.request, now.meta) : default_facts(now.request.dialect, now.request.model);
    const llm::PriceRow* row = prices.find(now.request.model, now.meta.unix_ms);
    if (out.input_usd_per_million == 0 && row != nullptr)
      out.input_usd_per_million = row->at(now.prompt.tokens(), {}).input;
    return out;
  }

  TokenPrice price(const KeptRequest& now, const ProviderFacts& of) const {
    const bool writes = !of.needs_markers || asks_for_caching(now);
    const double factor = (writes ? of.short_write_factor : 1.0) - of.read_factor;
    TokenPrice out{of.input_usd_per_million / 1e6 * factor, 1};
    if (now.meta.usage.known && now.meta.usage.input() > 0 && now.prompt.tokens() > 0)
      out.scale = std::clamp(static_cast<double>(now.meta.usage.input()) / now.prompt.tokens(), 0.5, 2.0);
    return out;
  }

  void observe(llm::Request request, const CallMeta& meta) {
    const Kept now = keep_request(std::move(request), meta, observed++, hash);
    if (!now) return;
    Link link = linker.link(now, hash);
    const ProviderFacts of = facts(*now);
    const bool apart = compare(*now, link, of);
    timing_rules(*now, apart ? nullptr : link.previous ? link.previous.get() : nullptr, link.site->id, of);
    linker.keep(now, std::move(link), apart);
  }

  // True: it is a call of its own beside the conversation that it was linked to.
  bool compare(const KeptRequest& now, const Link& link, const ProviderFacts& of) {
    const Site& site = *link.site;
    if (summing_up(now, link, of)) return true;
    const Kept before = link.previous ? link.previous : link.mate ? link.mate : site.last.lock();
    if (!before) return false;
    const bool session = link.previous || link.mate;
    const Pair pair{*before, now, session, session && now.messages() > 0 && (link.previous || now.messages() > 1)};
    BreakList list(pair);
    if (session) {
      collector.count_session_pair(site.id);
      compare_parameters(list);
    }
    if (before->request.dialect == now.request.dialect) {
      compare_tools(list);
      compare_system(list);
      if (pair.same_history) compare_history(list);
    }
    std::vector<Break> breaks = list.take();
    if (!link.previous && before->request.dialect == now.request.dialect) questions(now, link, breaks);
    forget_dates(breaks, *before, now, session);
    const uint32_t shared =
        pair.same_history ? std::min(before->prompt.tokens(), now.prompt.tokens()) : now.tokens_of_head();
    collector.add(std::move(breaks), now, site.id, session, shared, price(now, of));
    return false;
  }

  bool summing_up(const KeptRequest& now, const Link& link, const ProviderFacts& of) {
    if (link.exact && link.same_head) return false;
    const auto tell = [&](const KeptRequest& before, BreakList& list, uint32_t shared) {
      (void)before;
      collector.add(list.take(), now, link.site->id, true, shared, price(now, of));
      return true;
    };
    if (link.previous && !link.same_head && link.previous->request.dialect == now.request.dialect &&
        asks_for_summary(now, *link.previous)) {
      BreakList list({*link.previous, now, true, true});
      const uint32_t node = now.first_message > 0 ? now.prompt.units.front().node : now.prompt.messages_node;
      list.at_node(Kind::kCompaction, node == kNoNode ? 0 : node, "the history of a live session under another head")
          .place = "compaction";
      return tell(*link.previous, list, std::min(link.previous->prompt.tokens(), now.prompt.tokens()));
    }
    if (link.previous || now.messages() > 4) return false;
    for (const Kept& live : link.live) {
      const Pair pair{*live, now, true, false};
      BreakList list(pair);
      if (compare_compaction(list)) return tell(*live, list, std::min(live->prompt.tokens(), now.prompt.tokens()));
    }
    return false;
  }

  // Against the last calls of the site: the first that tells something.
  static void questions(const KeptRequest& now, const Link& link, std::vector<Break>& breaks) {
    for (const Question& other : link.site->questions) {
      if (likeness(other.sketch, link.question) < kAlikeQuestions) continue;
      const Kept call = other.call.lock();
      if (!call) continue;
      const Pair pair{*call, now, false, false};
      BreakList list(pair);
      compare_questions(list);
      std::vector<Break> found = list.take();
      if (found.empty()) continue;
      breaks.insert(breaks.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
      return;
    }
  }

  static void forget_dates(std::vector<Break>& breaks, const KeptRequest& before, const KeptRequest& now,
                           bool session) {
    const int64_t gap = now.meta.unix_ms - before.meta.unix_ms;
    if (session || now.meta.unix_ms == 0 || before.meta.unix_ms == 0 || gap < kDateMatters_ms) return;
    std::erase_if(breaks, [](const Break& one) { return one.is_slot && one.guess == Guess::kDate; });
  }

  void timing_rules(const KeptRequest& now, const KeptRequest* previous, uint32_t site, const ProviderFacts& of) {
    const double scale = price(now, of).scale;
    for (const TimedBreak& timed : timing.observe(now, previous, site, of)) {
      const double tokens = timed.tokens * scale;
      collector.add_priced(timed.what, now, site, true, tokens,
                           tokens * timed.factor * of.input_usd_per_million / 1e6);
    }
    input_price[site] = of.input_usd_per_million;
  }

  const llm::PriceTable& prices;
  const FactsOf facts_of;
  const base::KeyedHash hash;
  Linker linker;
  Collector collector;
  TimingRules timing;
  std::unordered_map<uint32_t, double> input_price;  // of a site's last request
  size_t observed = 0;
  mutable std::mutex mutex;
};

Detector::Detector(const llm::PriceTable& prices, const Limits& limits, FactsOf facts_of)
    : state_(std::make_unique<State>(prices, limits, std::move(facts_of))) {}
Detector::~Detector() = default;

void Detector::observe(llm::Request request, const CallMeta& meta) {
  const std::lock_guard lock(state_->mutex);
  state_->observe(std::move(request), meta);
}

std::vector<Finding> Detector::findings() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<Finding> out = state_->collector.findings();
  for (const TimingRules::Late& late : state_->timing.at_end()) {
    const auto price = state_->input_price.find(late.site);
    const double usd = price == state_->input_price.end() ? 0 : price->second / 1e6;
    const Break& what = late.what.what;
    out.push_back({.kind = what.kind,
                   .request = late.request,
                   .path = what.path,
                   .byte_offset = what.byte_offset,
                   .bytes = what.bytes,
                   .occurrences = late.occurrences,
                   .tokens = static_cast<uint64_t>(late.what.tokens),
                   .cost_usd = late.what.tokens * late.what.factor * usd,
                   .detail = what.detail});
  }
  std::stable_sort(out.begin(), out.end(), [](const Finding& a, const Finding& b) {
    return std::tuple(a.request, a.byte_offset, a.kind) < std::tuple(b.request, b.byte_offset, b.kind);
  });
  return out;
}

size_t Detector::requests() const {
  const std::lock_guard lock(state_->mutex);
  return state_->observed;
}

size_t Detector::kept_bytes() const {
  const std::lock_guard lock(state_->mutex);
  return state_->linker.size_bytes();
}

}  // namespace payonce::prefix
