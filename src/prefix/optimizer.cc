#include "prefix/optimizer.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "prefix/breakpoints.h"
#include "prefix/same_request.h"
#include "prefix/saved_state.h"

namespace payonce::prefix {
namespace {

constexpr std::array<std::string_view, kActs> kActNames = {
    "tools_ordered",   "respelled",       "moved",           "billing_stripped",
    "marked",          "unmarked",        "keyed",           "documents_ordered",
    "documents_first", "documents_apart", "repeats_dropped", "compaction_rewritten"};
constexpr std::string_view kCacheKey = "prompt_cache_key";

// For upstreams of whose marks we know nothing: the client's, spelled as they came.
const MarkerSpelling kClients = {"cache_control", R"({"type":"ephemeral"})", R"({"type":"ephemeral","ttl":"1h"})"};

std::vector<Mark> clients_own(const Prompt& prompt) {
  std::vector<Mark> out;
  for (uint32_t i = 0; i < prompt.blocks.size(); ++i)
    if (prompt.blocks[i].marker != Marker::kNone) out.push_back({.block = i, .ttl = prompt.blocks[i].marker});
  return out;
}

// OpenAI takes no member that it does not know, and before GPT-5.6 it knew none that marks.
bool refuses_markers(const prompt_cache::Provider& provider) {
  return provider.id == "openai_older" || provider.id == "azure_openai";
}

// The account, the model and the parameters: a change of one makes another cache of the blocks from its level on.
CacheOf cache_of(const Asked& asked, const Prompt& prompt, const base::KeyedHash& hash) {
  CacheOf out;
  out.tools = hash.parts<2>({asked.account, asked.request.model});
  const auto mix = [&](const std::vector<std::string>& names, base::Hash128& into) {
    for (const std::string& name : names) {
      const std::string_view member =
          std::string_view(name).substr(0, name.find_first_of(". "));  // "reasoning.effort"
      if (const base::Hash128 value = prompt.parameter(member); !(value == base::Hash128()))
        into = hash.parts<3>({base::bytes_of(into), member, base::bytes_of(value)});
    }
  };
  const prompt_cache::Invalidates& invalidates = asked.rule.provider->invalidates;
  mix(invalidates.all, out.tools);
  mix(invalidates.system_and_messages, out.system);
  mix(invalidates.messages, out.messages);
  return out;
}

// Where nothing is marked: whole steps of what an earlier request had, as far as nothing was evicted.
uint32_t readable(uint32_t shared_tokens, const prompt_cache::Rule& rule) {
  if (shared_tokens < rule.min_tokens) return 0;
  const auto step = static_cast<uint32_t>(std::max<int64_t>(rule.increment_tokens, 1));
  return shared_tokens / step * step;
}

uint32_t& count(Plan& plan, Act act) { return plan.acts[static_cast<size_t>(act)]; }

}  // namespace

std::string_view act_name(Act act) { return kActNames[static_cast<size_t>(act)]; }

bool Plan::acted() const {
  return std::any_of(acts.begin(), acts.end(), [](uint32_t times) { return times > 0; });
}

Optimizer::Optimizer(Options options)
    : hash_(options.seed),
      sites_(options.max_site_bytes),
      spellings_(options.max_spelling_bytes),
      sessions_(options.max_session_bytes) {}

Optimizer::Sizes Optimizer::sizes() const {
  return {.sites = sites_.size(),
          .spelling_bytes = spellings_.bytes(),
          .sessions = sessions_.size(),
          .session_bytes = sessions_.bytes()};
}

std::string Optimizer::save() {
  std::string payload;
  sites_.save(payload);
  routing_keys_.save(payload);
  breakpoints_.save(payload);
  return seal(std::move(payload));
}

base::Status Optimizer::load(std::string_view bytes) {
  PAYONCE_TRY(const std::string_view payload, unseal(bytes));
  base::NumberReader from(payload);
  if (sites_.load(from) && routing_keys_.load(from) && breakpoints_.load(from) && from.at_end()) return {};
  return base::fail(base::Code::kCorrupt, "state of the prefix layer: numbers that cannot be");
}

Plan Optimizer::plan(const Asked& asked) {
  if (asked.mode == Mode::kOff) return {};
  try {
    const auto prompt = read_prompt(asked.request, hash_);
    if (!prompt || prompt->blocks.empty()) return {};
    return rewritten(asked, *prompt);
  } catch (const std::exception& error) {
    Plan none;
    none.fault = error.what();
    return none;
  }
}

void Optimizer::respell(const Asked& asked, const Prompt& prompt, Arrangement& arrangement) {
  for (uint32_t i = 0; i < prompt.units.size(); ++i) {
    const Unit& unit = prompt.units[i];
    // What was said in one scope is spelled by that scope alone.
    const std::string_view owner = unit.section == Section::kMessages ? asked.scope : std::string_view();
    const base::Hash128 key = hash_.parts<3>({asked.account, owner, base::bytes_of(unit.value)});
    if (Spelling spelling = spellings_.first(key, arrangement.text(i))) arrangement.respell(i, std::move(spelling));
  }
}

void Optimizer::strip_billing(const Prompt& prompt, Arrangement& arrangement, Plan& plan) {
  for (uint32_t i = 0; i < prompt.blocks.size(); ++i) {
    const Block& block = prompt.blocks[i];
    if (block.section != Section::kSystem || block.text_node == kNoNode) continue;
    if (!prompt.text(block.text_node).starts_with(kBillingLine)) continue;
    arrangement.drop_part(i);
    if (arrangement.is_dropped(i)) ++count(plan, Act::kBillingStripped);
  }
}

// Everything on which the cache depends beside the blocks is mixed into their chain.
void Optimizer::mark(const Asked& asked, const Prompt& prompt, const SiteView& site, const Arrangement& arrangement,
                     Plan& plan) {
  std::vector<SentBlock> sent = arrangement.sent(hash_, cache_of(asked, prompt, hash_));
  for (SentBlock& block : sent)
    block.tokens_through = static_cast<uint32_t>(site.tokens_ratio * static_cast<double>(block.tokens_through));
  plan.tokens_ratio = site.tokens_ratio;
  plan.tokens = sent.empty() ? 0 : sent.back().tokens_through;
  uint32_t stable = static_cast<uint32_t>(sent.size());
  if (!arrangement.moved())
    for (const SiteView::Text& text : site.system)
      for (uint32_t i = 0; text.verdict.unreadable && i < stable; ++i)
        if (sent[i].block == text.block) stable = i;
  MarkPlan marks = breakpoints_.plan({.prompt = prompt,
                                      .sent = sent,
                                      .keeps_automatic = arrangement.keeps_automatic(),
                                      .stable = stable,
                                      .rule = asked.rule,
                                      .now_ms = asked.now_ms,
                                      .hints = {.call_site = site.id.low}});
  plan.shared_tokens = marks.shared_tokens;
  plan.read_tokens = asked.rule.provider->match == prompt_cache::Match::kWrittenPositions
                         ? marks.read_tokens
                         : readable(marks.shared_tokens, asked.rule);
  plan.gate_number = marks.number;
  if (spelling_of(asked.rule).member.empty()) {
    // A provider that we know no marks of: what the client says stays, unless it would be refused.
    if (!refuses_markers(*asked.rule.provider)) plan.marks = clients_own(prompt);
    return;
  }
  plan.marks = std::move(marks.marks);
  if (asked.mode != Mode::kObserve) {
    // The deepest prefix that another is writing now is worth a wait if it is half of this request.
    for (auto block = sent.rbegin(); block != sent.rend() && block->tokens_through * 2 >= plan.tokens; ++block)
      if (first_writes_.is_written_now(block->chain)) {
        plan.wait_for = block->chain;
        break;
      }
    plan.ticket = first_writes_.begin(marks.written);
  }
  count(plan, Act::kMarked) = marks.marked;
  count(plan, Act::kUnmarked) = marks.unmarked;
}

void Optimizer::answered(const Plan& plan, const llm::Usage& billed) {
  sites_.billed(plan.site, static_cast<double>(plan.tokens) / plan.tokens_ratio, static_cast<double>(billed.input()));
  if (plan.gate_number != 0) breakpoints_.answered(plan.gate_number, static_cast<uint32_t>(billed.output));
}

// Only where the field is known to be taken: a strict upstream refuses what it does not know.
void Optimizer::set_cache_key(const Asked& asked, const Prompt& prompt, const SiteView& site,
                              Arrangement& arrangement, Plan& plan) {
  if (asked.rule.provider->routing.field != kCacheKey) return;
  const uint32_t node = asked.request.tape.find(asked.request.body.view(), 0, kCacheKey);
  const bool is_text = node != kNoNode && asked.request.tape[node].type == llm::JsonType::kString;
  if (node != kNoNode && !is_text) return;
  const std::string given = is_text ? prompt.text(node) : std::string();
  const uint32_t first = prompt.first_of(Section::kMessages);
  const base::Hash128 session = first < prompt.blocks.size() ? prompt.blocks[first].value : base::Hash128();
  std::string key =
      routing_keys_.key_for(site.id, given, session, asked.rule.provider->rate_per_minute, asked.now_ms);
  if (key == given) return;
  ++count(plan, Act::kKeyed);
  arrangement.set_cache_key(std::move(key));
}

Plan Optimizer::planned(const Asked& asked, const Prompt& prompt) {
  Plan plan;
  const SiteView site = sites_.recognise(hash_.parts<2>({"account", asked.account}), prompt, hash_);
  plan.site = site.id;
  plan.site_requests = site.requests;
  Arrangement arrangement(prompt);
  arrangement.order_tools(site.tool_order, site.tools_style, site.messages_style);
  if (asked.strip_billing) strip_billing(prompt, arrangement, plan);
  respell(asked, prompt, arrangement);
  if (asked.mode == Mode::kAggressive && arrangement.move(site.system)) ++count(plan, Act::kMoved);
  if (arrangement.moved() && prompt.automatic != Marker::kNone) arrangement.drop_automatic();
  count(plan, Act::kToolsOrdered) = arrangement.tools_moved() ? 1 : 0;
  count(plan, Act::kRespelled) = arrangement.respelled();
  set_cache_key(asked, prompt, site, arrangement, plan);
  mark(asked, prompt, site, arrangement, plan);
  if (asked.mode == Mode::kObserve || prompt.has_other_markers) return plan;
  MarkerSpelling spelling = spelling_of(asked.rule);
  if (spelling.member.empty()) spelling = kClients;
  auto body = arrangement.write(plan.marks, spelling);
  if (!body) return plan;
  const Allowed allowed{.moved = arrangement.moved(),
                        .stripped = count(plan, Act::kBillingStripped) > 0,
                        .cache_key = count(plan, Act::kKeyed) > 0};
  if (const auto same = check_same_request(prompt, *body, allowed, hash_); !same) {
    first_writes_.done(plan.ticket);
    plan = {};
    plan.fault = same.error().message;
    return plan;
  }
  plan.body = base::Bytes(*std::move(body));
  return plan;
}

}  // namespace payonce::prefix
