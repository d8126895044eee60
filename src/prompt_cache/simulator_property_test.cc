// Random traffic against what must hold for every provider.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

#include "prompt_cache/sim_fixture.h"

namespace payonce::prompt_cache {
namespace {

struct Traffic {
  std::vector<std::vector<SimBlock>> prompts;
  std::vector<int64_t> at_s;
};

// Prompts that share beginnings: few contents, so that equal prefixes are frequent.
Traffic traffic() {
  Traffic out;
  int64_t now_s = 0;
  const auto requests = *rc::gen::inRange<size_t>(1, 12);
  for (size_t r = 0; r < requests; ++r) {
    std::vector<SimBlock> prompt;
    const auto blocks = *rc::gen::inRange<size_t>(1, 30);
    size_t marks = 0;
    bool short_seen = false;
    for (size_t b = 0; b < blocks; ++b) {
      SimBlock block;
      block.hash.low = static_cast<uint64_t>(*rc::gen::weightedElement<int>({{8, 0}, {1, 1}, {1, 2}}));
      block.tokens = static_cast<uint32_t>(700 + 100 * block.hash.low);
      block.message_end = true;
      if (marks < 3 && *rc::gen::inRange(0, 4) == 0) {
        block.mark = !short_seen && *rc::gen::inRange(0, 2) == 0 ? Ttl::kLong : Ttl::kShort;
        short_seen = short_seen || block.mark == Ttl::kShort;
        ++marks;
      }
      prompt.push_back(block);
    }
    out.prompts.push_back(std::move(prompt));
    now_s += *rc::gen::element<int64_t>(0, 1, 200, 400, 4000);
    out.at_s.push_back(now_s);
  }
  return out;
}

std::vector<Billed> replay(const Provider& provider, const Traffic& traffic, int64_t answer_ms) {
  Simulator simulator(provider);
  std::vector<Billed> out;
  for (size_t i = 0; i < traffic.prompts.size(); ++i) {
    SimRequest request;
    request.at_ms = traffic.at_s[i] * 1000;
    request.readable_ms = request.at_ms + answer_ms;
    request.model = "claude-sonnet-4-6";
    request.routing_key = "k";
    request.blocks = traffic.prompts[i];
    request.automatic = provider.automatic == Automatic::kImplicit;
    const auto billed = simulator.run(request);
    RC_ASSERT(billed.has_value());
    out.push_back(*billed);
  }
  return out;
}

// Providers that take three marks a request.
const Provider& any_provider() {
  std::vector<const Provider*> rows;
  for (const Provider& row : Providers::built_in().all())
    if (row.match != Match::kWrittenPositions || row.max_breakpoints >= 4) rows.push_back(&row);
  return **rc::gen::elementOf(rows);
}

RC_GTEST_PROP(Simulator, EveryTokenIsBilledOnceAndOnlyWhatWasSentIsRead, ()) {
  const Provider& provider = any_provider();
  const Traffic sent = traffic();
  const std::vector<Billed> billed = replay(provider, sent, 1500);
  std::set<std::vector<uint64_t>> prefixes;
  for (size_t i = 0; i < billed.size(); ++i) {
    int64_t total = 0, known = 0;
    std::vector<uint64_t> prefix;
    for (const SimBlock& block : sent.prompts[i]) {
      total += block.tokens;
      prefix.push_back(block.hash.low);
      if (prefixes.contains(prefix)) known = total;
    }
    RC_ASSERT(billed[i].input() == total);
    RC_ASSERT(std::min({billed[i].fresh, billed[i].read, billed[i].write_short, billed[i].write_long}) >= 0);
    RC_ASSERT(billed[i].read <= known);
    RC_ASSERT(billed[i].common == known);
    for (; !prefix.empty(); prefix.pop_back()) prefixes.insert(prefix);
  }
}

// With marks: a read ends exactly where an earlier request had a mark of its own.
RC_GTEST_PROP(Simulator, ReadsEndWhereSomethingWasWritten, ()) {
  const Provider& provider = *Providers::built_in().find("anthropic");
  const Traffic sent = traffic();
  const std::vector<Billed> billed = replay(provider, sent, 0);
  std::set<std::vector<uint64_t>> written;
  for (size_t i = 0; i < billed.size(); ++i) {
    int64_t total = 0;
    bool found = billed[i].read == 0;
    std::vector<uint64_t> prefix;
    std::vector<std::vector<uint64_t>> own;
    for (const SimBlock& block : sent.prompts[i]) {
      total += block.tokens;
      prefix.push_back(block.hash.low);
      found = found || (total == billed[i].read && written.contains(prefix));
      if (block.mark != Ttl::kNone) own.push_back(prefix);
    }
    RC_ASSERT(found);
    written.insert(own.begin(), own.end());
  }
}

RC_GTEST_PROP(Simulator, ALongerTtlNeverReadsLess, ()) {
  Provider longer = any_provider();
  const Provider shorter = longer;
  for (auto* ttl : {&longer.short_ttl, &longer.long_ttl})
    if (*ttl) {
      (*ttl)->ttl_ms *= 3;
      (*ttl)->max_age_ms *= 3;
    }
  const Traffic sent = traffic();
  const std::vector<Billed> few = replay(shorter, sent, 1500);
  const std::vector<Billed> many = replay(longer, sent, 1500);
  for (size_t i = 0; i < few.size(); ++i) RC_ASSERT(many[i].read >= few[i].read);
}

TEST(Simulator, RemembersBoundedly) {
  Simulator simulator(*Providers::built_in().find("vllm"), {.positions = 100});
  for (uint64_t i = 0; i < 2000; ++i) {
    SimBlock block{.hash = {.low = i, .high = 0}, .tokens = 100};
    SimRequest request;
    request.at_ms = static_cast<int64_t>(i);
    request.model = "m";
    request.blocks = {&block, 1};
    ASSERT_TRUE(simulator.run(request));
    EXPECT_LE(simulator.positions(), 100u);
    const auto again = simulator.run(request);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->read, 96);  // the latest is there
  }
}

TEST(Simulator, RefusesRequestsOutOfOrder) {
  Simulator simulator(*Providers::built_in().find("vllm"));
  SimRequest request;
  request.at_ms = 5;
  EXPECT_TRUE(simulator.run(request));
  request.at_ms = 4;
  EXPECT_FALSE(simulator.run(request));
}

}  // namespace
}  // namespace payonce::prompt_cache
