// What Optimizer::plan() does before the front of a request is arranged: rewrites of what it holds, each proved by
// its own module. The rest of the layer takes the new body as if the client had sent it.
#include <utility>

#include "prefix/optimizer.h"

namespace payonce::prefix {
namespace {

Asked with_request(const Asked& asked, const llm::Request& request) {
  return {.request = request,
          .account = asked.account,
          .scope = asked.scope,
          .rule = asked.rule,
          .mode = asked.mode,
          .strip_billing = asked.strip_billing,
          .now_ms = asked.now_ms};
}

void count(const ContextPlan& context, Plan& plan) {
  const auto add = [&](Act act, uint32_t times) { plan.acts[static_cast<size_t>(act)] += times; };
  add(Act::kDocumentsOrdered, context.ordered);
  add(Act::kDocumentsFirst, context.first);
  add(Act::kDocumentsApart, context.apart);
  add(Act::kRepeatsDropped, context.repeats);
}

}  // namespace

Plan Optimizer::rewritten(const Asked& asked, const Prompt& prompt) {
  if (!asked.order_documents && !asked.drop_repeats) return planned(asked, prompt);
  const ContextPlan context = context_.plan({.prompt = prompt,
                                             .account = asked.account,
                                             .scope = asked.scope,
                                             .order = asked.order_documents,
                                             .drop_repeats = asked.drop_repeats,
                                             .has_marks = !spelling_of(asked.rule).member.empty(),
                                             .min_tokens = static_cast<uint32_t>(asked.rule.min_tokens)},
                                            hash_);
  if (context.body.empty() || asked.mode == Mode::kObserve) {
    Plan plan = planned(asked, prompt);
    count(context, plan);
    if (plan.fault.empty()) plan.fault = context.fault;
    return plan;
  }
  const auto request = llm::parse_request(asked.request.dialect, base::Bytes(std::string(context.body)));
  const auto changed = request ? read_prompt(*request, hash_) : std::nullopt;
  if (!changed) return planned(asked, prompt);
  Plan plan = planned(with_request(asked, *request), *changed);
  if (!plan.fault.empty()) return plan;
  if (!plan.body) plan.body = base::Bytes(std::string(context.body));
  count(context, plan);
  return plan;
}

}  // namespace payonce::prefix
