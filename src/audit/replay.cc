#include "audit/replay.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <unordered_map>
#include <utility>

#include "audit/sent_prompt.h"
#include "audit/stack.h"
#include "llm/answer_text.h"
#include "pipeline/upstream_rules.h"

namespace payonce::audit {
namespace {

using history::Call;
using pipeline::Answer;
using pipeline::Forward;
using std::chrono::steady_clock;

constexpr int64_t kUnknownLatency_ms = 1000;  // of a call whose log tells none
constexpr size_t kProgressEvery = 256;

std::string_view path_of(llm::Dialect dialect) {
  switch (dialect) {
    case llm::Dialect::kOpenAiChat: return "/v1/chat/completions";
    case llm::Dialect::kOpenAiResponses: return "/v1/responses";
    case llm::Dialect::kOpenAiEmbeddings: return "/v1/embeddings";
    case llm::Dialect::kOpenAiCompletions: return "/v1/completions";
    case llm::Dialect::kAnthropicMessages: return "/v1/messages";
    case llm::Dialect::kAnthropicCountTokens: return "/v1/messages/count_tokens";
    case llm::Dialect::kGemini:  // its path names the model, which no log's format keeps
    case llm::Dialect::kOther: break;
  }
  return "/";
}

std::string scope_of(const Call& call, Sharing sharing) {
  switch (sharing) {
    case Sharing::kUser: return "user " + std::string(call.user);
    case Sharing::kSession: return "session " + std::string(call.session);
    case Sharing::kAll: break;
  }
  return "all";
}

ModelsOf models_of(std::span<const Call> calls) {
  ModelsOf out;
  std::map<std::string, std::string, std::less<>> known;  // a model goes where it was first seen
  for (const Call& call : calls)
    if (const auto [it, first] = known.emplace(call.model, provider_id(call.provider, call.model)); first)
      out[it->second].emplace(call.model);
  out[""];  // for models that the log calls otherwise than the body
  return out;
}

// The same answer, as far as text can tell: normalised, or both ask for tools.
bool same_text(llm::Dialect dialect, std::string_view served, std::string_view own) {
  const auto form = [](std::string_view body) { return is_stream(body) ? llm::Form::kStream : llm::Form::kJson; };
  const auto a = llm::answer_text(dialect, form(served), served), b = llm::answer_text(dialect, form(own), own);
  return a && b && llm::normalised_text(a->text) == llm::normalised_text(b->text);
}

// One call that has not gone through yet.
struct InFlight {
  net::RequestHead head;
  base::Bytes body;
  std::optional<Forward> forward;
  std::optional<SentPrompt> sent;
  std::vector<prompt_cache::SimBlock> answer;  // where the provider's cache keeps answers, too
  bool gone = false;                           // sent upstream
};

enum class What : uint8_t { kComes, kGoes, kBegins, kEnds };  // of one moment, in this order

struct Event {
  int64_t at_ms;
  uint64_t number;
  What what;
  size_t call;
  bool operator>(const Event& other) const {
    return at_ms != other.at_ms ? at_ms > other.at_ms : number > other.number;
  }
};

class Replay {
 public:
  Replay(std::span<const Call> calls, const Options& options, InlineEmbedder* embedder)
      : calls_(calls), options_(options), stack_(options, models_of(calls), embedder), out_(calls.size()) {
    int64_t ended_ms = 0;
    for (size_t i = 0; i < calls.size(); ++i) {
      times_.push_back(calls[i].at_ms > 0 ? calls[i].at_ms : ended_ms);
      ended_ms = times_.back() + latency(i) + 1;
    }
  }

  std::vector<Replayed> run(const std::function<void(Progress)>& progress) {
    for (size_t next = 0; next < calls_.size() || !events_.empty();) {
      if (next < calls_.size() && (events_.empty() || times_[next] <= events_.top().at_ms)) {
        move_to(times_[next]);
        comes(next++);
        if (progress && next % kProgressEvery == 0) progress({next, calls_.size()});
        continue;
      }
      const Event event = events_.top();
      events_.pop();
      move_to(event.at_ms);
      switch (event.what) {
        case What::kComes: break;
        case What::kGoes: goes(event.call); break;
        case What::kBegins: begins(event.call); break;
        case What::kEnds: ends(event.call); break;
      }
    }
    return std::move(out_);
  }

 private:
  int64_t now() { return stack_.clock().unix_ms(); }
  void move_to(int64_t at_ms) {
    if (at_ms > now()) stack_.clock().advance_ms(at_ms - now());
  }
  void later(int64_t at_ms, What what, size_t call) { events_.push({at_ms, ++events_made_, what, call}); }
  int64_t latency(size_t i) const { return calls_[i].latency_ms < 0 ? kUnknownLatency_ms : calls_[i].latency_ms; }
  int64_t first_byte(size_t i) const { return calls_[i].first_ms < 0 ? latency(i) : calls_[i].first_ms; }

  void comes(size_t i) {
    const Call& call = calls_[i];
    Replayed& out = out_[i];
    out.actual = out.with = call.usage;
    if (call.request.empty()) {
      out.took = Took::kNoBody;
      return;
    }
    auto flight = std::make_unique<InFlight>();
    flight->head.method = "POST";
    flight->head.target = path_of(call.dialect);
    flight->head.headers.add("Authorization", "Bearer " + scope_of(call, options_.sharing));
    flight->body = base::Bytes::unowned(call.request);
    simulate_base(i, *flight);

    const auto began = steady_clock::now();
    const pipeline::Incoming incoming{flight->head, flight->body, call.dialect};
    pipeline::Pipeline::Spent spent;
    pipeline::Decision decision = stack_.pipeline().before(incoming, spent);
    if (auto* search = std::get_if<pipeline::Search>(&decision)) {
      pipeline::Decision found = pipeline::Refusal{};
      stack_.pipeline().search(*search, [&](pipeline::Decision made) { found = std::move(made); });
      decision = std::move(found);
    }
    out.layer_ms = std::chrono::duration<double, std::milli>(steady_clock::now() - began).count();
    if (auto* answer = std::get_if<Answer>(&decision)) return answered(i, *answer, std::move(flight));
    auto* forward = std::get_if<Forward>(&decision);
    if (forward == nullptr) return;  // refused: a body that no upstream would take either
    flight->forward = std::move(*forward);
    if (flight->forward->collapse && joins(i, flight->forward->prepared->key)) return;
    flights_[i] = std::move(flight);
    arrange(i);
  }

  // Equal requests that are on their way wait for one answer.
  bool joins(size_t i, const std::string& key) {
    const auto [it, first] = on_their_way_.emplace(key, i);
    const size_t leader = it->second;
    if (first || calls_[leader].status != 200 || calls_[leader].response.empty()) return false;
    Replayed& out = out_[i];
    out.took = Took::kCollapsed;
    out.source = leader;
    out.with = {};
    out.wait_ms = std::max<int64_t>(0, times_[leader] + latency(leader) - now());
    return true;
  }

  void answered(size_t i, const Answer& answer, std::unique_ptr<InFlight> flight) {
    Replayed& out = out_[i];
    out.took = answer.layer == "semantic" ? Took::kSemantic : Took::kExact;
    out.similarity = answer.similarity;
    if (const auto it = stored_by_.find(answer.entry->key); it != stored_by_.end()) out.source = it->second;
    out.with = {};
    if (out.took != Took::kSemantic) return;
    out.same_answer = same_text(calls_[i].dialect, answer.entry->body.view(), calls_[i].response);
    if (!answer.ask_again) return;
    out.asked_again = true;
    flight->forward = *answer.ask_again;
    flights_[i] = std::move(flight);
    arrange(i);
  }

  void arrange(size_t i) {
    InFlight& flight = *flights_[i];
    const auto began = steady_clock::now();
    stack_.pipeline().arrange(*flight.forward, flight.body);
    out_[i].layer_ms += std::chrono::duration<double, std::milli>(steady_clock::now() - began).count();
    const pipeline::PrefixPlanPtr& plan = flight.forward->prefix;
    if (plan) out_[i].acts = plan->acts;
    const int64_t came_ms = now();
    // As the gateway does: of a fan-out, all but the first wait until the prefix can be read, or for so long.
    const int64_t hold_ms = flight.forward->policy->prefix.hold_ms;
    if (plan && hold_ms > 0 && stack_.pipeline().prefix()->hold(*plan, [this, i] { release(i); })) {
      later(came_ms + hold_ms, What::kGoes, i);
      return;
    }
    goes(i);
  }
  void release(size_t i) {
    const auto it = flights_.find(i);
    if (it == flights_.end() || it->second->gone) return;  // it has gone after the longest wait
    later(now(), What::kGoes, i);
  }

  // It is sent.
  void goes(size_t i) {
    const auto it = flights_.find(i);
    if (it == flights_.end() || it->second->gone) return;
    InFlight& flight = *it->second;
    flight.gone = true;
    out_[i].held_ms = now() - times_[i];
    simulate_sent(i, flight);
    later(now() + first_byte(i), What::kBegins, i);
    later(now() + latency(i), What::kEnds, i);
  }

  void begins(size_t i) {
    const auto it = flights_.find(i);
    if (it != flights_.end() && it->second->forward->prefix)
      stack_.pipeline().prefix()->begun(*it->second->forward->prefix);
  }

  void ends(size_t i) {
    const auto it = flights_.find(i);
    if (it == flights_.end()) return;
    const std::unique_ptr<InFlight> flight = std::move(it->second);
    flights_.erase(it);
    const Call& call = calls_[i];
    const Forward& forward = *flight->forward;
    const auto leads = forward.prepared ? on_their_way_.find(forward.prepared->key) : on_their_way_.end();
    if (leads != on_their_way_.end() && leads->second == i) on_their_way_.erase(leads);
    if (call.response.empty() || !forward.prepared) return;
    pipeline::Recorded recorded{.status = call.status, .body = std::string(call.response)};
    recorded.content_type = is_stream(call.response) ? "text/event-stream" : "application/json";
    const pipeline::Judged judged = stack_.pipeline().after(forward, std::move(recorded));
    if (judged.store) stored_by_[forward.prepared->key] = i;
  }

  // ---- the provider's cache ----

  const prompt_cache::Provider& provider_of(const Call& call) {
    const auto& table = prompt_cache::Providers::built_in();
    const std::string id = !options_.provider.empty() ? options_.provider : provider_id(call.provider, call.model);
    if (!id.empty())
      if (const auto* given = table.find(id)) return *given;
    const bool anthropic = llm::is_anthropic(call.dialect);
    return *table.detect("http://localhost", call.model,
                         anthropic ? prompt_cache::Wire::kAnthropic : prompt_cache::Wire::kOpenAi);
  }

  struct Simulated {
    explicit Simulated(const prompt_cache::Provider& provider) : base(provider), sent(provider) {}
    prompt_cache::Simulator base, sent;
  };
  Simulated& simulated(const prompt_cache::Provider& provider) {
    auto& made = simulators_[provider.id];
    if (!made) made = std::make_unique<Simulated>(provider);
    return *made;
  }

  std::optional<SentPrompt> read(const Call& call, const base::Bytes& body, const prompt_cache::Provider& provider) {
    auto request = llm::parse_request(call.dialect, body);
    if (!request) return std::nullopt;
    SentPrompt out = read_sent(*request, provider, hash_);
    if (out.blocks.empty()) return std::nullopt;
    scale_to(out, call.usage.known ? call.usage.input() : static_cast<int64_t>(out.estimated_tokens));
    return out;
  }

  prompt_cache::Billed run(prompt_cache::Simulator& simulator, size_t i, const InFlight& flight, int64_t at_ms) {
    const SentPrompt& prompt = *flight.sent;
    const Call& call = calls_[i];
    const std::string account = scope_of(call, Sharing::kAll);
    prompt_cache::SimRequest request = sim_request(prompt);
    request.at_ms = at_ms;
    request.readable_ms = at_ms + first_byte(i);
    request.done_ms = at_ms + latency(i);
    request.model = call.model;
    request.account = account;
    request.answer = flight.answer;
    request.output_tokens = call.usage.output;
    if (auto billed = simulator.run(request)) return *billed;
    prompt_cache::Billed out;  // the provider would refuse its marks
    out.fresh = call.usage.known ? call.usage.input() : static_cast<int64_t>(prompt.estimated_tokens);
    out.output = call.usage.output;
    return out;
  }

  void simulate_base(size_t i, InFlight& flight) {
    const Call& call = calls_[i];
    const prompt_cache::Provider& provider = provider_of(call);
    out_[i].provider = provider.id;
    if (call.from_cache || call.status != 200) return;
    flight.sent = read(call, flight.body, provider);
    if (!flight.sent) return;
    if (provider.caches_answers && call.usage.output > 0)
      flight.answer = answer_blocks(call.dialect, call.response, call.usage.output, hash_);
    out_[i].base = run(simulated(provider).base, i, flight, times_[i]);
    out_[i].simulated = true;
    if (call.usage.known) return;
    out_[i].actual = out_[i].with = out_[i].base.usage();
    out_[i].actual_is_simulated = true;
  }

  void simulate_sent(size_t i, InFlight& flight) {
    Replayed& out = out_[i];
    if (!out.simulated) return;
    const prompt_cache::Provider& provider = provider_of(calls_[i]);
    const pipeline::PrefixPlanPtr& plan = flight.forward->prefix;
    if (plan && plan->body)
      if (auto changed = read(calls_[i], *plan->body, provider)) flight.sent = std::move(changed);
    out.sent = run(simulated(provider).sent, i, flight, now());
    out.with = moved(out.actual, out.base, out.sent);
  }

  // What was billed, moved by what the simulations differ, within the whole of the prompt.
  static llm::Usage moved(const llm::Usage& actual, const prompt_cache::Billed& base,
                          const prompt_cache::Billed& sent) {
    llm::Usage out = actual;
    const int64_t input = actual.input();
    out.read = std::clamp<int64_t>(actual.read + sent.read - base.read, 0, input);
    out.write_long = std::clamp<int64_t>(actual.write_long + sent.write_long - base.write_long, 0, input - out.read);
    out.write_short = std::clamp<int64_t>(actual.write_short + sent.write_short - base.write_short, 0,
                                          input - out.read - out.write_long);
    out.fresh = input - out.read - out.write_long - out.write_short;
    return out;
  }

  std::span<const Call> calls_;
  const Options& options_;
  Stack stack_;
  const base::KeyedHash hash_{"audit"};
  std::vector<int64_t> times_;  // when each call comes; without a time of its own: after the one before it
  std::vector<Replayed> out_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  uint64_t events_made_ = 0;
  std::unordered_map<size_t, std::unique_ptr<InFlight>> flights_;
  std::unordered_map<std::string, size_t> on_their_way_, stored_by_;  // by key: calls
  std::map<std::string, std::unique_ptr<Simulated>> simulators_;      // by provider
};

}  // namespace

std::string_view took_name(Took took) {
  switch (took) {
    case Took::kUpstream: return "upstream";
    case Took::kExact: return "exact";
    case Took::kCollapsed: return "collapsed";
    case Took::kSemantic: return "semantic";
    case Took::kNoBody: return "no_body";
  }
  return "";
}

std::vector<Replayed> replay(std::span<const Call> calls, const Options& options, InlineEmbedder* embedder,
                             const std::function<void(Progress)>& progress) {
  return Replay(calls, options, embedder).run(progress);
}

}  // namespace payonce::audit
