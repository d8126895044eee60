// What Optimizer::plan() does before the front of a request is arranged: rewrites of what it holds, each proved by
// its own module. The rest of the layer takes the new body as if the client had sent it.
#include <utility>

#include "prefix/compaction/compaction_call.h"
#include "prefix/compaction/history_first.h"
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
          .order_documents = asked.order_documents,
          .drop_repeats = asked.drop_repeats,
          .now_ms = asked.now_ms};
}

std::string all_text(const Prompt& prompt) {
  std::string out;
  for (const Unit& unit : prompt.units)
    if (unit.section != Section::kTools) out += text_of_unit(prompt, unit) + "\n";
  return out;
}

void count_context(const ContextPlan& context, Plan& plan) {
  const auto add = [&](Act act, uint32_t times) { plan.acts[static_cast<size_t>(act)] += times; };
  add(Act::kDocumentsOrdered, context.ordered);
  add(Act::kDocumentsFirst, context.first);
  add(Act::kDocumentsApart, context.apart);
  add(Act::kRepeatsDropped, context.repeats);
}

}  // namespace

Plan Optimizer::rewritten(const Asked& asked, const Prompt& prompt) {
  if (prompt.has_other_markers) return planned(asked, prompt);  // it goes as it came
  if (!asked.rewrite_compaction) return with_documents(asked, prompt);
  const base::Hash128 owner = hash_.parts<2>({asked.account, asked.scope});
  const auto call = compaction_of(prompt);
  if (!call) {
    sessions_.remember(owner, prompt, hash_);
    return with_documents(asked, prompt);
  }
  const auto session =
      call->rendered ? sessions_.in_text(owner, prompt, all_text(prompt)) : sessions_.with_messages(owner, prompt);
  if (!session) return with_documents(asked, prompt);
  const HistoryFirst made = history_first(prompt, *call, *session, asked.rule.provider->invalidates, hash_);
  const auto request = made.body.empty() || asked.mode == Mode::kObserve
                           ? base::Result<llm::Request>(base::fail(base::Code::kNotFound, "nothing to rewrite"))
                           : llm::parse_request(asked.request.dialect, base::Bytes(std::string(made.body)));
  const auto changed = request ? read_prompt(*request, hash_) : std::nullopt;
  Plan plan = changed ? with_documents(with_request(asked, *request), *changed) : with_documents(asked, prompt);
  if (!plan.fault.empty()) return plan;
  if (changed && !plan.body) plan.body = base::Bytes(std::string(made.body));
  if (!made.body.empty()) ++plan.acts[static_cast<size_t>(Act::kCompactionRewritten)];
  plan.fault = made.fault;
  return plan;
}

Plan Optimizer::with_documents(const Asked& asked, const Prompt& prompt) {
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
    count_context(context, plan);
    if (plan.fault.empty()) plan.fault = context.fault;
    return plan;
  }
  const auto request = llm::parse_request(asked.request.dialect, base::Bytes(std::string(context.body)));
  const auto changed = request ? read_prompt(*request, hash_) : std::nullopt;
  if (!changed) return planned(asked, prompt);
  Plan plan = planned(with_request(asked, *request), *changed);
  if (!plan.fault.empty()) return plan;
  if (!plan.body) plan.body = base::Bytes(std::string(context.body));
  count_context(context, plan);
  return plan;
}

}  // namespace payonce::prefix
