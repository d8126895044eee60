// What identifying a request costs: the hash of the raw bytes (a byte-equal repeat), parsing, the canonical form and
// its key (all others). And what reading an event costs that a relay stores.
//
//   key_bench DIRECTORY [--benchmark_…]      DIRECTORY as bodies.py writes it
#include <benchmark/benchmark.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "agent/api/calls.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "identity/canonical.h"
#include "identity/profile.h"
#include "llm/request.h"
#include "llm/sse.h"

namespace payonce::bench {
namespace {

using benchmark::State;

void count_bytes(State& state, size_t size) {
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * static_cast<int64_t>(size));
}

void raw_key(State& state, const std::string& body) {
  const base::KeyedHash hash;
  for (auto _ : state) benchmark::DoNotOptimize(hash(body));
  count_bytes(state, body.size());
}

void sha256_of_raw(State& state, const std::string& body) {
  for (auto _ : state) benchmark::DoNotOptimize(base::sha256(body));
  count_bytes(state, body.size());
}

void parse(State& state, const std::string& body) {
  const base::Bytes bytes = base::Bytes::copy(body);
  for (auto _ : state) {
    auto request = llm::parse_request(llm::Dialect::kOpenAiChat, bytes);
    if (!request) return state.SkipWithError(request.error().message.c_str());
    benchmark::DoNotOptimize(request->tape);
  }
  count_bytes(state, body.size());
}

void canonical_form(State& state, const std::string& body) {
  const auto profiles = identity::Profiles::built_in();
  const auto request = llm::parse_request(llm::Dialect::kOpenAiChat, base::Bytes::copy(body));
  if (!profiles || !request) return state.SkipWithError("set-up failed");
  for (auto _ : state) {
    benchmark::DoNotOptimize(identity::canonical_form(*request, *profiles, profiles->generic()));
  }
  count_bytes(state, body.size());
}

void parse_and_key(State& state, const std::string& body) {
  const auto profiles = identity::Profiles::built_in();
  if (!profiles) return state.SkipWithError("set-up failed");
  const base::Bytes bytes = base::Bytes::copy(body);
  const identity::KeyParts parts{.scope_id = "u-0123456789abcdef0123456789abcdef",
                                 .target = "/v1/chat/completions",
                                 .upstream = "http://127.0.0.1:9000/v1"};
  for (auto _ : state) {
    const auto request = llm::parse_request(llm::Dialect::kOpenAiChat, bytes);
    if (!request) return state.SkipWithError(request.error().message.c_str());
    benchmark::DoNotOptimize(identity::response_key(*request, *profiles, profiles->generic(), parts));
  }
  count_bytes(state, body.size());
}

// A lookup of the agent API of about 35 kB. `known`: its parts have been seen, as those of an agent's turn before.
void agent_key(State& state, bool known) {
  std::string body = R"({"kind":"llm","parts":{"model":"m","system":")" + std::string(10'000, 's') + R"(","tools":[)";
  for (int i = 0; i < 38; ++i)
    body += std::string(i > 0 ? "," : "") + R"({"name":"tool)" + std::to_string(i) + R"(","description":")" +
            std::string(380, 'd') + R"(","schema":{"type":"object","properties":{"path":{"type":"string"}}}})";
  body += R"(],"messages":[)";
  for (int i = 0; i < 10; ++i)
    body += std::string(i > 0 ? "," : "") + R"({"role":"user","content":")" + std::string(400, 'm') + "\"}";
  body += "]}}";
  identity::PartDigests seen;
  for (auto _ : state) {
    identity::PartDigests none(1);
    const auto call = agent::read_lookup(body, known ? seen : none);
    if (!call) return state.SkipWithError(call.error().message.c_str());
    benchmark::DoNotOptimize(agent::key_of(*call->question, "u-0123456789abcdef0123456789abcdef"));
  }
  count_bytes(state, body.size());
}

void read_events(State& state) {
  std::string stream;
  constexpr int kEvents = 1000;
  for (int i = 0; i < kEvents; ++i) {
    stream +=
        R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-mini",)"
        R"("choices":[{"index":0,"delta":{"content":" wordsssssssssssssssssssssss"},"finish_reason":null}]})"
        "\n\n";
  }
  llm::SseEvent event;
  for (auto _ : state) {
    std::string_view rest = stream;
    while (llm::next_event(rest, event)) benchmark::DoNotOptimize(event.data);
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * kEvents);
  count_bytes(state, stream.size());
}

std::string file_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace
}  // namespace payonce::bench

int main(int argc, char** argv) {
  using namespace payonce::bench;
  benchmark::Initialize(&argc, argv);
  if (argc != 2) {
    std::fprintf(stderr, "usage: key_bench DIRECTORY [--benchmark_…]; bench/gateway/bodies.py DIRECTORY fills it\n");
    return 2;
  }
  for (const std::string name : {"small", "agent"}) {
    const std::string body = file_text(std::string(argv[1]) + "/" + name + ".json");
    if (body.empty()) {
      std::fprintf(stderr, "%s/%s.json is missing; run python3 bench/gateway/bodies.py %s\n", argv[1], name.c_str(),
                   argv[1]);
      return 2;
    }
    benchmark::RegisterBenchmark(("raw_key_xxh3/" + name).c_str(), raw_key, body);
    benchmark::RegisterBenchmark(("sha256_of_raw/" + name).c_str(), sha256_of_raw, body);
    benchmark::RegisterBenchmark(("parse/" + name).c_str(), parse, body);
    benchmark::RegisterBenchmark(("canonical_form/" + name).c_str(), canonical_form, body);
    benchmark::RegisterBenchmark(("parse_and_key/" + name).c_str(), parse_and_key, body);
  }
  benchmark::RegisterBenchmark("agent_key/new", agent_key, false);
  benchmark::RegisterBenchmark("agent_key/known", agent_key, true);
  benchmark::RegisterBenchmark("read_events", read_events);
  benchmark::RunSpecifiedBenchmarks();
}
