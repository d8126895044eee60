#include "payonce/gate_simulation.h"

#include <chrono>

#include "payonce/block_trace.h"

namespace payonce {
namespace {

// One policy's decisions, billed under both rules.
class Account {
 public:
  Account(std::string name, const prefix::Terms& terms)
      : name_(std::move(name)),
        prices_(terms.prices),
        any_(prefix::Reading::kAnyWritten, terms.ttl_ms),
        marked_(prefix::Reading::kMarkedOnly, terms.ttl_ms) {}

  void bill(const prefix::Outline& prompt, std::span<const uint32_t> marks) {
    any_billed_ += any_.bill(prompt, marks);
    marked_billed_ += marked_.bill(prompt, marks);
  }
  PolicyCost cost() const {
    return {name_, any_billed_, any_billed_.relative_cost(prices_), marked_billed_.relative_cost(prices_)};
  }

 private:
  std::string name_;
  prefix::Prices prices_;
  prefix::ProviderModel any_, marked_;
  prefix::Billed any_billed_, marked_billed_;
};

std::vector<uint32_t> end_mark(const prefix::Outline& prompt) {
  if (prompt.positions.empty()) return {};
  return {static_cast<uint32_t>(prompt.positions.size() - 1)};
}

}  // namespace

base::Result<GateSimulation> simulate_gate(const std::string& trace, const prefix::Terms& terms,
                                           const GateObserver& observer) {
  PAYONCE_TRY(BlockTrace rows, BlockTrace::open(trace));
  prefix::WriteGate gate;
  Account ours("gate", terms), never("never", terms), ends("every end", terms);
  prefix::Hindsight oracle(terms.prices, terms.ttl_ms);
  GateSimulation out;
  std::chrono::steady_clock::duration spent{};
  while (true) {
    PAYONCE_TRY(const std::optional<TraceRequest> row, rows.next());
    if (!row) break;
    const prefix::Outline prompt{row->positions, row->input_tokens, row->timestamp_ms, {}};
    const auto start = std::chrono::steady_clock::now();
    const prefix::Decision decision = gate.decide(prompt, terms);
    spent += std::chrono::steady_clock::now() - start;
    gate.answered(decision.number, row->output_tokens);  // known when the next prompt comes
    if (observer.decided && !observer.decided(decision.marks))
      return base::fail(base::Code::kCancelled, "the decisions could not be written");
    ours.bill(prompt, decision.marks);
    never.bill(prompt, {});
    ends.bill(prompt, end_mark(prompt));
    oracle.saw(prompt);
    out.marks += decision.marks.size();
    if (++out.requests % kProgressRequests == 0 && observer.progress) observer.progress(out.requests);
  }
  if (out.requests > 0)
    out.decide_us_mean = std::chrono::duration<double, std::micro>(spent).count() / static_cast<double>(out.requests);
  const double best = oracle.billed().relative_cost(terms.prices);
  out.policies = {ours.cost(), never.cost(), ends.cost(), {"oracle", oracle.billed(), best, best}};
  return out;
}

}  // namespace payonce
