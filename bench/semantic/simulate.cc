// A stream of questions through the semantic cache in this process, embeddings from a file: quick enough to try a
// policy on. What counts is bench/semantic/stream.py, through the real server.
//
//   semantic_simulate EMBEDDINGS STREAM.jsonl [--bound B] [--seeds N] [--ask-again S] [--limit N]
//
// A row is {"q": question, "c": what its answer is}. Prints shares of all questions, in per cent.
#include <fmt/format.h>

#include <boost/json.hpp>
#include <boost/json/src.hpp>
#include <fstream>
#include <iostream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "base/clock.h"
#include "semantic/embeddings.h"
#include "semantic/semantic_cache.h"
#include "semantic/verifier_judge.h"

namespace {

namespace json = boost::json;
using namespace payonce;

struct Row {
  std::string question;
  uint64_t cluster;
};

std::vector<Row> read_stream(const std::string& path) {
  std::ifstream in(path);
  std::vector<Row> out;
  std::map<std::string, uint64_t> clusters;
  for (std::string line; std::getline(in, line);) {
    const json::value row = json::parse(line);
    const std::string cluster = json::serialize(row.at("c"));
    out.push_back(
        {std::string(row.at("q").as_string()), clusters.try_emplace(cluster, clusters.size()).first->second});
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: semantic_simulate EMBEDDINGS STREAM.jsonl [--bound B] [--seeds N] [--ask-again S] "
                 "[--limit N] [--cosine T]\n";
    return 2;
  }
  std::map<std::string, double> flags{
      {"--bound", 0.01}, {"--seeds", 1}, {"--ask-again", 0.05}, {"--limit", 1e9}, {"--cosine", 0}};
  for (int i = 3; i + 1 < argc; i += 2) flags[argv[i]] = std::stod(argv[i + 1]);
  const auto embeddings = bench::EmbeddingFile::open(argv[1]);
  if (!embeddings) {
    std::cerr << embeddings.error().message << "\n";
    return 1;
  }
  std::vector<Row> rows = read_stream(argv[2]);
  rows.resize(std::min(rows.size(), static_cast<size_t>(flags["--limit"])));
  const auto judge = semantic::make_judge();
  FILE* dump = std::getenv("DUMP") != nullptr ? std::fopen(std::getenv("DUMP"), "w") : nullptr;
  for (int seed = 0; seed < static_cast<int>(flags["--seeds"]); ++seed) {
    std::vector<Row> order = rows;
    if (seed > 0) std::shuffle(order.begin(), order.end(), std::mt19937(static_cast<uint32_t>(seed)));
    base::FakeClock clock;
    semantic::SemanticCache cache(
        {.policy = flags["--cosine"] > 0 ? semantic::Policy::kThreshold : semantic::Policy::kBound,
         .error_bound = flags["--bound"],
         .threshold = flags["--cosine"],
         .ask_again = flags["--ask-again"],
         .memory_bytes = 1ull << 32},
        *judge, clock);
    double expected = 0;
    size_t hits = 0, wrong = 0, again = 0, conflicts = 0, conflicts_equal = 0, half = 0;
    std::map<std::string, size_t> outcomes;
    for (size_t i = 0; i < order.size(); ++i) {
      const Row& row = order[i];
      semantic::Lookup lookup;
      lookup.group = lookup.scope = "s";
      lookup.question = row.question;
      lookup.embedding = *embeddings->find(row.question);
      cache.look_up(lookup);
      ++outcomes[std::string(semantic::outcome_name(lookup.outcome))];
      const bool serve = lookup.outcome == semantic::Outcome::kServe;
      (void)cache.decided(lookup, serve);
      const base::Hash128 truth{row.cluster, 1};
      const bool equal = !lookup.candidates.empty() && lookup.candidates.front().answer == truth;
      if (dump && !lookup.candidates.empty()) {
        const semantic::Candidate& best = lookup.candidates.front();
        fmt::print(dump, "{} {} {} {} {} {} {} {} {}\n", i, best.signals.logit, best.signals.cosine,
                   best.signals.margin, best.signals.support, best.signals.entry, best.probability,
                   best.conflict.empty() ? "-" : best.conflict, (equal ? 1 : 0) + (serve ? 2 : 0));
      }
      if (serve) {
        ++hits;
        wrong += !equal;
        expected += 1 - lookup.candidates.front().probability;
        again += lookup.ask_again;
      }
      if (lookup.outcome == semantic::Outcome::kConflict) {
        ++conflicts;
        conflicts_equal += equal;
      }
      if (!serve || lookup.ask_again) {
        const std::string key = std::to_string(i);
        cache.insert(lookup, {.key = key, .digest = truth, .expires_ms = INT64_MAX});
        cache.label(lookup, key, equal, serve);
      }
      if (i == order.size() / 2) half = wrong;
    }
    const auto share = [&](size_t count) {
      return 100.0 * static_cast<double>(count) / static_cast<double>(order.size());
    };
    const auto stats = cache.stats();
    fmt::print(
        "seed {}: hits {:.2f} correct {:.2f} wrong {:.2f} expected {:.2f} (first half {:.2f}) asked again {:.2f} "
        "conflicts {:.2f} of "
        "them equal "
        "{:.2f} threshold {:.3f} estimate {:.2f} ({:.2f}..{:.2f})\n",
        seed, share(hits), share(hits - wrong), share(wrong), 100 * expected / static_cast<double>(order.size()),
        share(half), share(again), share(conflicts), share(conflicts_equal), stats.threshold,
        100 * stats.tally.wrong_rate().estimate, 100 * stats.tally.wrong_rate().low,
        100 * stats.tally.wrong_rate().high);
  }
  return 0;
}
