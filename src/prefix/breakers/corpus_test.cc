// Each kind planted alone and three at a time into realistic sequences: found, in its place, and nothing else said of
// clean ones.
#include "prefix/breakers/corpus.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "llm/request.h"

namespace payonce::prefix::corpus {
namespace {

std::string dump(const std::vector<Finding>& findings) {
  std::string out;
  for (const Finding& finding : findings)
    out += fmt::format("  {} request {} {} byte {}+{} x{} ${:.5f}: '{}' -> '{}' {}\n", finding.about().name,
                       finding.request, finding.path, finding.byte_offset, finding.bytes, finding.occurrences,
                       finding.cost_usd, finding.before, finding.after, finding.detail);
  return out;
}

std::string where(Scene scene, llm::Dialect dialect, unsigned seed) {
  return fmt::format("{} scene {} seed {}\n", llm::dialect_name(dialect), static_cast<int>(scene), seed);
}

bool names(const std::vector<Finding>& findings, Kind kind) {
  return std::any_of(findings.begin(), findings.end(), [&](const Finding& one) { return one.kind == kind; });
}

// The finding's bytes are inside the body, and hold the text that it shows.
bool stands_there(const std::string& body, const Finding& one) {
  if (one.byte_offset + one.bytes > body.size()) return false;
  if (one.after.empty() || one.bytes == 0 || one.after.find_first_of("\n\"(") != std::string::npos) return true;
  if (one.path == "model" || one.kind == Kind::kToolOrder) return true;  // names what is there
  return body.substr(one.byte_offset, one.bytes + 2).find(one.after.substr(0, 20)) != std::string::npos;
}

TEST(CorpusTest, CleanSequencesAreSilent) {
  for (unsigned seed = 1; seed <= 12; ++seed)
    for (const Scene scene : kScenes)
      for (const llm::Dialect dialect : kDialects) {
        std::mt19937 random(seed);
        const auto found = detect(clean(scene, dialect, random), dialect);
        EXPECT_TRUE(found.empty()) << where(scene, dialect, seed) << dump(found);
      }
}

TEST(CorpusTest, EachKindAloneIsFoundInItsPlace) {
  for (const Plant& plant : plants())
    for (const Scene scene : kScenes)
      for (const llm::Dialect dialect : kDialects)
        for (unsigned seed = 1; seed <= 12; ++seed) {
          if (!plant.fits(scene, dialect)) continue;
          std::mt19937 random(seed);
          Calls calls = clean(scene, dialect, random);
          plant.apply(calls, dialect, random);
          const auto found = detect(calls, dialect);
          const std::string about =
              std::string(info(plant.kind).name) + " in " + where(scene, dialect, seed) + dump(found);
          EXPECT_TRUE(names(found, plant.kind)) << about;
          for (const Finding& one : found) {
            const bool pair = plant.kind == Kind::kHistoryRespelled && one.kind == Kind::kJsonKeyOrder;
            EXPECT_TRUE(one.kind == plant.kind || pair) << about;
            if (one.kind != plant.kind) continue;
            EXPECT_NE(one.path.find(plant.path), std::string::npos) << about;
            EXPECT_GT(one.cost_usd, 0) << about;
            EXPECT_TRUE(stands_there(render(calls[one.request], dialect), one)) << about;
          }
        }
}

// Plants that undo each other: one writes what another has written, or takes away what it needs.
bool excluded(Kind one, Kind other) {
  static const std::set<std::pair<Kind, Kind>> kPairs = {{Kind::kChunkOrder, Kind::kLateDocument},
                                                         {Kind::kFrontTruncation, Kind::kHistoryEdited},
                                                         {Kind::kFrontTruncation, Kind::kImageBytes},
                                                         {Kind::kBelowMinimum, Kind::kBreakpointOnVolatile},
                                                         {Kind::kBelowMinimum, Kind::kFanOut},
                                                         {Kind::kFrontTruncation, Kind::kLookbackExceeded},
                                                         {Kind::kFrontTruncation, Kind::kReasoningStripped},
                                                         {Kind::kPrefixRate, Kind::kCompaction}};
  return kPairs.contains({one, other}) || kPairs.contains({other, one});
}

// What takes text away comes first, what changes all of a text or adds calls comes last.
int rank(Kind kind) {
  if (kind == Kind::kBelowMinimum) return 0;
  if (kind == Kind::kWhitespaceDrift) return 2;
  return kind == Kind::kCompaction || kind == Kind::kPrefixRate ? 3 : 1;
}

TEST(CorpusTest, ThreeAtATimeAreAllNamed) {
  std::mt19937 draw(20260303);
  int triples = 0, said = 0, others = 0;
  while (triples < 900) {
    const Scene scene = kScenes[draw() % 3];
    const llm::Dialect dialect = kDialects[draw() % 3];
    std::vector<const Plant*> three;
    for (int tries = 0; tries < 60 && three.size() < 3; ++tries) {
      const Plant* next = &plants()[draw() % plants().size()];
      if (next->fits(scene, dialect) && std::none_of(three.begin(), three.end(), [&](const Plant* p) {
            return p == next || excluded(p->kind, next->kind);
          }))
        three.push_back(next);
    }
    if (three.size() < 3) continue;
    ++triples;
    std::stable_sort(three.begin(), three.end(),
                     [](const Plant* a, const Plant* b) { return rank(a->kind) < rank(b->kind); });
    const unsigned seed = static_cast<unsigned>(draw());
    std::mt19937 random(seed);
    Calls calls = clean(scene, dialect, random);
    std::string about;
    for (const Plant* plant : three) {
      plant->apply(calls, dialect, random);
      about += std::string(info(plant->kind).name) + " ";
    }
    const auto found = detect(calls, dialect);
    for (const Finding& one : found) {
      ++said;
      const bool planted =
          std::any_of(three.begin(), three.end(), [&](const Plant* p) { return p->kind == one.kind; });
      if (!planted && one.kind != Kind::kJsonKeyOrder) {
        ++others;
      }
    }
    for (const Plant* plant : three) {
      EXPECT_TRUE(names(found, plant->kind))
          << "no " << info(plant->kind).name << " of " << about << where(scene, dialect, seed) << dump(found);
    }
  }
  // A plant may bring another with it (a shortened prompt goes below the minimum); few do.
  EXPECT_LT(others * 50, said);
}

// Bytes cut, doubled, swapped: what is still JSON is observed without harm, and findings stay inside the bodies.
TEST(CorpusTest, MutatedSequencesAreReadWithoutHarm) {
  static const llm::PriceTable prices = llm::PriceTable::built_in();
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    const llm::Dialect dialect = kDialects[random() % 3];
    Detector detector(prices, {.memory_bytes = 200'000, .conversations = 4, .sites = 2});
    std::vector<std::string> bodies;
    for (const Call& call : clean(kScenes[random() % 3], dialect, random)) {
      std::string body = render(call, dialect);
      for (unsigned edits = random() % 4; edits > 0; --edits) {
        const size_t at = random() % body.size(), size = std::min<size_t>(random() % 40, body.size() - at);
        if (random() % 2 == 0)
          body.erase(at, size);
        else
          body.insert(at, body.substr(random() % body.size(), size));
      }
      auto request = llm::parse_request(dialect, base::Bytes(body));
      if (!request) continue;
      bodies.push_back(body);
      detector.observe(std::move(*request),
                       {.unix_ms = call.unix_ms, .session = random() % 2 == 0 ? call.session : ""});
    }
    EXPECT_EQ(detector.requests(), bodies.size());
    for (const Finding& one : detector.findings()) {
      ASSERT_LT(one.request, bodies.size());
      EXPECT_LE(one.byte_offset + one.bytes, bodies[one.request].size()) << dump({one});
    }
  }
}

TEST(DetectorTest, MemoryStaysWithinItsLimit) {
  static const llm::PriceTable prices = llm::PriceTable::built_in();
  std::mt19937 random(11);
  Detector detector(prices, {.memory_bytes = 300'000, .conversations = 100, .sites = 8});
  for (int i = 0; i < 40; ++i)
    for (Call& call : clean(Scene::kChat, llm::Dialect::kOpenAiChat, random)) {
      call.session += std::to_string(i);
      detector.observe(
          *llm::parse_request(llm::Dialect::kOpenAiChat, base::Bytes(render(call, llm::Dialect::kOpenAiChat))),
          {.unix_ms = call.unix_ms, .session = call.session});
    }
  EXPECT_LE(detector.kept_bytes(), 300'000u);
}

}  // namespace
}  // namespace payonce::prefix::corpus
