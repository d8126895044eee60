#include "prefix/optimizer.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "prefix/breakpoints.h"
#include "prefix/same_request.h"

namespace payonce::prefix {
namespace {

constexpr std::array<std::string_view, kActs> kActNames = {"tools_ordered", "respelled", "moved", "billing_stripped",
                                                           "marked",        "unmarked",  "keyed"};
// First line of Claude Code's system prompt from 2.1.36 on; its digits change with every session.
constexpr std::string_view kBillingHeader = "x-anthropic-billing-header:";

uint32_t& count(Plan& plan, Act act) { return plan.acts[static_cast<size_t>(act)]; }

}  // namespace

std::string_view act_name(Act act) { return kActNames[static_cast<size_t>(act)]; }

bool Plan::acted() const {
  return std::any_of(acts.begin(), acts.end(), [](uint32_t times) { return times > 0; });
}

Optimizer::Optimizer(Options options)
    : hash_(options.seed), sites_(options.max_sites), spellings_(options.max_spelling_bytes) {}

Optimizer::Sizes Optimizer::sizes() const { return {.sites = sites_.size(), .spelling_bytes = spellings_.bytes()}; }

Plan Optimizer::plan(const Asked& asked) {
  if (asked.mode == Mode::kOff) return {};
  try {
    const auto prompt = read_prompt(asked.request, hash_);
    if (!prompt || prompt->blocks.empty()) return {};
    return planned(asked, *prompt);
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
    if (!prompt.text(block.text_node).starts_with(kBillingHeader)) continue;
    arrangement.drop_part(i);
    if (arrangement.is_dropped(i)) ++count(plan, Act::kBillingStripped);
  }
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
  count(plan, Act::kToolsOrdered) = arrangement.tools_moved() ? 1 : 0;
  count(plan, Act::kRespelled) = arrangement.respelled();
  plan.sent = arrangement.sent(hash_);
  if (asked.mode == Mode::kObserve) return plan;
  auto body = arrangement.write(plan.marks, spelling_of(asked.rule));
  if (!body) return plan;
  const Allowed allowed{.moved = arrangement.moved(), .stripped = count(plan, Act::kBillingStripped) > 0};
  if (const auto same = check_same_request(prompt, *body, allowed, hash_); !same) {
    plan = {};
    plan.fault = same.error().message;
    return plan;
  }
  plan.body = base::Bytes(*std::move(body));
  return plan;
}

}  // namespace payonce::prefix
