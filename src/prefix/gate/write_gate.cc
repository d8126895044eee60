#include "prefix/gate/write_gate.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/assert.h"

namespace payonce::prefix {
namespace {

constexpr uint32_t kPopular = 8;     // passes from which a position tells nothing of the one prompt that ended there
constexpr size_t kBranchPoints = 4;  // the deepest ones are candidates
constexpr uint32_t kNearMarks = 2;   // positions just before the end that are candidates
constexpr int64_t kClaimedMs = 300'000;      // ages up to this are claimed from the start, …
constexpr int64_t kClaimedDearMs = 120'000;  // … up to this where writes are dear, …
constexpr double kSpan = 0.25;               // … greater ones up to this part of the time that traffic was seen
constexpr double kGoOnBelief = 10;           // prompts, of the belief that …
constexpr double kGoOnPrior = 0.4;           // … one that went on goes on again
constexpr double kGoOnMemory = 4'000;        // prompts, then halved
constexpr uint32_t kFewPasses = 4;           // where writes are dear, fewer tell no rate
constexpr double kMinObservedS = 30;         // a rate is not taken over less
constexpr double kRecentPasses = 3;    // a position that was not passed for long is at most so many times faster
constexpr double kLeftMemory = 4'000;  // prompts left, then halved
// P(another prompt shares the tools or the system text) before any did: too little to write them for it alone, enough
// to mark them on the way to something that is written.
constexpr double kEdgeReuse = 0.2;

// The given marks, and of the chosen ones the deepest for which there is room.
std::vector<uint32_t> with_given(const std::vector<uint32_t>& chosen, std::span<const uint32_t> given,
                                 size_t max_marks) {
  std::vector<uint32_t> out(given.begin(), given.end());
  for (size_t i = chosen.size(); i-- > 0 && out.size() < max_marks;)
    if (std::find(given.begin(), given.end(), chosen[i]) == given.end()) out.push_back(chosen[i]);
  std::sort(out.begin(), out.end());
  return out;
}

// One read does not pay a write back.
bool dear(const Prices& prices) { return prices.write - 1 > 1 - prices.read; }

}  // namespace

WriteGate::WriteGate(const Options& options)
    : table_(options.positions), prompts_(std::max<size_t>(options.prompts, 1)) {
  next_to_pass_.fill(1);
}

WriteGate::Seen* WriteGate::seen(uint64_t number) {
  Seen& at = prompts_[number % prompts_.size()];
  return number != 0 && at.number == number ? &at : nullptr;
}

void WriteGate::answered(uint64_t number, uint32_t output_tokens) {
  if (Seen* at = seen(number)) at->output_tokens = output_tokens;
}

// Prompts come in the order of time, so those that reach the end of a bin are the next ones of that bin's cursor.
void WriteGate::settle(int64_t now_ms) {
  const uint64_t oldest = last_number_ >= prompts_.size() ? last_number_ - prompts_.size() + 1 : 1;
  for (size_t bin = 0; bin < kAgeBins; ++bin) {
    uint64_t& next = next_to_pass_[bin];
    next = std::max(next, oldest);
    for (; next <= last_number_; ++next) {
      const Seen& at = *seen(next);
      if (at.at_ms + age_edges_ms()[bin + 1] > now_ms) break;
      if (at.followed) continue;
      predictor_.passed(at.situation, bin);
      if (bin + 1 == kAgeBins) gaps_.never();
    }
  }
}

WriteGate::Descended WriteGate::descend(const Outline& prompt, int64_t now_ms) {
  Descended out;
  known_.clear();
  const auto count = static_cast<uint32_t>(prompt.positions.size());
  for (uint32_t i = 0; i < std::min(count, 8u); ++i) table_.prefetch(prompt.positions[i].chain);
  for (; out.shared < count; ++out.shared) {
    if (out.shared + 8 < count) table_.prefetch(prompt.positions[out.shared + 8].chain);
    KnownPosition* at = table_.find(prompt.positions[out.shared].chain);
    if (at == nullptr) break;
    if (at->live_until_ms >= now_ms && at->live_until_ms != 0) out.read = out.shared + 1;
    if (!known_.empty() && at->passes < known_.back()->passes) out.branch_points.push_back(out.shared);
    known_.push_back(at);
  }
  if (out.branch_points.size() > kBranchPoints)
    out.branch_points.erase(out.branch_points.begin(), out.branch_points.end() - kBranchPoints);
  if (out.shared == 0) return out;

  const KnownPosition& deepest = *known_.back();
  out.descent = Descent::kBranched;
  if (deepest.passes > kPopular) return out;
  if (const Seen* ended = seen(deepest.ended)) {
    out.descent = Descent::kContinued;
    out.from = ended;
  } else if (const Seen* passer = seen(deepest.passer); passer && passer->end <= out.shared + kNearEnd) {
    out.descent = Descent::kEdited;
    out.from = passer;
  }
  return out;
}

// Each prompt whose end, or nearly, this one passes has been followed.
void WriteGate::label(int64_t now_ms) {
  uint64_t last = 0;
  for (auto i = static_cast<uint32_t>(known_.size()); i-- > 0;) {
    if (known_[i]->passes > kPopular) break;  // and so are all before it
    if (known_[i]->passer == last) continue;
    last = known_[i]->passer;
    Seen* at = seen(last);
    if (at == nullptr || at->followed || at->end > i + 1 + kNearEnd) continue;
    at->followed = true;
    const int64_t age_ms = now_ms - at->at_ms;
    if (age_ms >= kHorizonMs) continue;  // already counted as never
    predictor_.used(at->situation, age_place(age_ms));
    gaps_.reused(age_ms);
    left_[at->end - std::min(at->end, i + 1)] += 1;
  }
  double sum = 0;
  for (const double n : left_) sum += n;
  if (sum > kLeftMemory)
    for (double& n : left_) n /= 2;
}

Facts WriteGate::facts(const Outline& prompt, const Descended& descended, int64_t now_ms) const {
  const auto tokens = [&](size_t count) { return count == 0 ? 0 : prompt.positions[count - 1].tokens; };
  Facts out{.descent = descended.descent,
            .turn = 1,
            .tokens = tokens(prompt.positions.size()),
            .shared_tokens = tokens(descended.shared),
            .passes = known_.empty() ? 0 : known_.back()->passes,
            .hints = prompt.hints};
  if (const Seen* from = descended.from) {
    out.turn = from->turn + 1;
    out.gap_ms = now_ms - from->at_ms;
    out.previous_gap_ms = from->gap_ms;
    out.output_tokens = from->output_tokens;
    const int64_t answer = std::max<int64_t>(0, from->output_tokens);
    out.message_tokens = int64_t{prompt.input_tokens} - from->input_tokens - answer;
  }
  return out;
}

// P(passed again within the TTL) of a position that many share, from how often and how recently it was passed.
double WriteGate::popularity(const KnownPosition& at, int64_t now_ms, const Terms& terms) const {
  if (dear(terms.prices) && at.passes < kFewPasses) return 0;  // luck, as likely as a habit
  const double known_s = std::max(kMinObservedS, static_cast<double>(now_ms - at.first_ms) / 1000);
  const double idle_s = std::max(1.0, static_cast<double>(now_ms - at.seen_ms) / 1000);
  const double rate = std::min(at.passes / known_s, kRecentPasses / idle_s);
  return 1 - std::exp(-rate * static_cast<double>(terms.ttl_ms) / 1000);
}

std::vector<Candidate> WriteGate::candidates(const Outline& prompt, const Terms& terms, const Descended& descended,
                                             double reuse, int64_t now_ms) const {
  std::vector<Candidate> out;
  const auto end = static_cast<uint32_t>(prompt.positions.size());
  const auto offer = [&](uint32_t count, double p, bool required = false) {  // `count` positions, from 1
    const uint32_t tokens = prompt.positions[count - 1].tokens;
    if (tokens >= terms.min_tokens || required) out.push_back({count - 1, tokens, p, required});
  };
  for (const uint32_t count : descended.branch_points)
    offer(count, std::max(reuse, popularity(*known_[count - 1], now_ms, terms)));
  if (descended.shared > 0 && descended.shared < end) {
    const bool many = descended.descent == Descent::kBranched;
    const double p = many ? popularity(*known_[descended.shared - 1], now_ms, terms) : 0;
    offer(descended.shared, std::max(reuse, p));
  }
  if (descended.read > 0) offer(descended.read, 1, true);
  double all = 1, upto = 1;
  for (const double n : left_) all += n;
  const uint32_t first = std::max(descended.read, std::min(descended.shared, end == 0 ? 0 : end - 1));
  for (uint32_t before = 0; before <= kNearMarks && end > first + before; ++before) {
    upto += left_[before];
    offer(end - before, reuse * upto / all);
  }
  for (const uint32_t edge : prompt.edges)
    if (edge < end) offer(edge + 1, reuse + (1 - reuse) * kEdgeReuse);
  // One candidate a position: the required one, else the likeliest.
  std::sort(out.begin(), out.end(), [](const Candidate& a, const Candidate& b) {
    if (a.index != b.index) return a.index < b.index;
    return a.required != b.required ? a.required : a.reuse > b.reuse;
  });
  out.erase(
      std::unique(out.begin(), out.end(), [](const Candidate& a, const Candidate& b) { return a.index == b.index; }),
      out.end());
  return out;
}

void WriteGate::remember(const Outline& prompt, const Terms& terms, const Descended& descended,
                         const Decision& decision, Seen entry) {
  const int64_t now_ms = entry.at_ms;
  if (descended.read > 0) known_[descended.read - 1]->live_until_ms = now_ms + terms.ttl_ms;
  size_t mark = 0;
  for (uint32_t i = 0; i < prompt.positions.size(); ++i) {
    KnownPosition& at = i < descended.shared ? *known_[i] : table_.find_or_insert(prompt.positions[i].chain, now_ms);
    at.seen_ms = now_ms;
    at.passer = entry.number;
    ++at.passes;
    if (mark < decision.marks.size() && decision.marks[mark] == i) {
      at.live_until_ms = now_ms + terms.ttl_ms;
      ++mark;
    }
    if (i + 1 == prompt.positions.size()) at.ended = entry.number;
  }
  prompts_[entry.number % prompts_.size()] = entry;
}

// Ages that the gate speaks of: uses so late were seen, or could have been, some times over. Where one read does not
// pay a write back (w − 1 > 1 − r), a wrong belief is dear and found out late, so less is claimed from the start.
int64_t WriteGate::claimed_ms(const Terms& terms) const {
  const int64_t seen_ms = static_cast<int64_t>(kSpan * static_cast<double>(lived_ms_));
  return std::min(terms.ttl_ms, std::max(dear(terms.prices) ? kClaimedDearMs : kClaimedMs, seen_ms));
}

// What a token that the next prompt finds is worth, per token. With D = what it is worth then that the token is live,
// the next prompt saves min(1 − r + D, w − r): it would have paid 1 and gone on without, or written it, whichever is
// less. A prompt that went on goes on again with probability q, so D = q · min(1 − r + D, w − r), solved here.
double WriteGate::saving_of_a_token_found(const Prices& prices) const {
  const double q = (go_on_.sum + kGoOnBelief * kGoOnPrior) / (go_on_.weight + kGoOnBelief);
  const double unwritten = q < 1 ? q * (1 - prices.read) / (1 - q) : std::numeric_limits<double>::infinity();
  const double live = unwritten <= prices.write - 1 ? unwritten : q * (prices.write - prices.read);
  return std::min(1 - prices.read + live, prices.write - prices.read);
}

Decision WriteGate::decide(const Outline& prompt, const Terms& terms) {
  const int64_t now_ms = last_number_ == 0 ? prompt.now_ms : std::max(last_ms_, prompt.now_ms);
  if (last_number_ > 0) lived_ms_ += now_ms - last_ms_;
  last_ms_ = now_ms;
  settle(now_ms);
  const Descended descended = descend(prompt, now_ms);
  const Facts known = facts(prompt, descended, now_ms);
  label(now_ms);

  Seen entry{.number = last_number_ + 1,
             .at_ms = now_ms,
             .gap_ms = known.gap_ms,
             .output_tokens = -1,
             .input_tokens = prompt.input_tokens,
             .end = static_cast<uint32_t>(prompt.positions.size()),
             .turn = known.turn,
             .followed = prompt.positions.empty(),  // nothing can follow
             .situation = Situation(known)};
  Decision out{.marks = {}, .read_tokens = 0, .reuse = 0, .number = entry.number};
  if (!prompt.positions.empty()) {
    out.reuse = predictor_.probability(entry.situation, claimed_ms(terms));
    if (descended.from != nullptr) {
      go_on_.sum += out.reuse;
      go_on_.weight += 1;
      if (go_on_.weight > kGoOnMemory) go_on_.weight /= 2, go_on_.sum /= 2;
    }
    if (descended.read > 0) out.read_tokens = prompt.positions[descended.read - 1].tokens;
    const double saving = saving_of_a_token_found(terms.prices);
    out.marks =
        choose_marks(
            candidates(prompt, terms, descended, out.reuse, now_ms),
            {.prices = terms.prices, .saving = saving, .read_tokens = out.read_tokens, .max_marks = terms.max_marks})
            .marks;
    if (descended.shared > 0) out.shared_tokens = prompt.positions[descended.shared - 1].tokens;
    if (!prompt.given.empty()) out.marks = with_given(out.marks, prompt.given, terms.max_marks);
  }
  remember(prompt, terms, descended, out, entry);
  last_number_ = entry.number;
  return out;
}

}  // namespace payonce::prefix
