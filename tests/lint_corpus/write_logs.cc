// Writes the corpus of prefix/breakers as logs that `payonce lint` reads, and what was planted into each:
//
//   payonce_lint_corpus FOLDER [SEED]
//
// manifest.json: [{file, seed, planted: [{kind, path, text, regions}]}]. `path`: what the finding's path must
// contain; `text`: one of these must stand at its bytes; `regions`: of each row [begin, end) of the bytes that the
// plant changed in the request, or null where it changed none; absent where others were planted, too, or rows were
// added.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <fstream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "prefix/breakers/corpus.h"

namespace payonce::prefix::corpus {
namespace {

constexpr int kTriples = 150;

std::string path_of(llm::Dialect dialect) {
  if (dialect == llm::Dialect::kAnthropicMessages) return "/v1/messages";
  return dialect == llm::Dialect::kOpenAiChat ? "/v1/chat/completions" : "/v1/responses";
}

class Writer {
 public:
  explicit Writer(std::string folder) : folder_(std::move(folder)) {}

  void write(const Calls& calls, llm::Dialect dialect, unsigned seed, json::array planted) {
    const std::string name = fmt::format("{:04}.jsonl", manifest_.size());
    std::ofstream log(folder_ + "/" + name, std::ios::binary);
    for (const Call& call : calls) {
      log << fmt::format(R"({{"timestamp":{},"latency_ms":{},"path":"{}","session":{},"provider":{},"request":)",
                         call.unix_ms, call.latency_ms, path_of(dialect), text(call.session), text(call.provider))
          << render(call, dialect) << "}\n";
    }
    manifest_.push_back(json::object{{"file", name}, {"seed", seed}, {"planted", std::move(planted)}});
  }
  void finish() const { std::ofstream(folder_ + "/manifest.json") << json::serialize(manifest_); }

 private:
  static std::string text(const std::string& value) {
    return value.empty() ? "null" : json::serialize(json::value(value));
  }

  const std::string folder_;
  json::array manifest_;
};

json::object about(const Plant& plant) {
  return {{"kind", info(plant.kind).name}, {"path", plant.path}, {"text", plant.at_bytes}};
}

// What differs between two texts, from the first byte to the last.
json::value region(const std::string& before, const std::string& after) {
  if (before == after) return nullptr;
  const size_t begin = static_cast<size_t>(std::ranges::mismatch(before, after).in2 - after.begin());
  size_t end = after.size();
  for (size_t other = before.size(); end > begin && other > begin && after[end - 1] == before[other - 1]; --other)
    --end;
  return json::array{begin, end};
}

void write_alone(Writer& writer, const Plant& plant, Scene scene, llm::Dialect dialect, unsigned seed) {
  std::mt19937 random(seed);
  const Calls before = clean(scene, dialect, random);
  Calls after = before;
  plant.apply(after, dialect, random);
  json::object planted = about(plant);
  if (before.size() == after.size()) {
    json::array regions;
    for (size_t i = 0; i < after.size(); ++i)
      regions.push_back(region(render(before[i], dialect), render(after[i], dialect)));
    planted["regions"] = std::move(regions);
  }
  writer.write(after, dialect, seed, {std::move(planted)});
}

// Kinds of plants that do not undo each other: those that add, change or move one place.
bool stacks(Kind kind) {
  static const std::set<Kind> kApart = {Kind::kFrontTruncation, Kind::kBelowMinimum, Kind::kWhitespaceDrift,
                                        Kind::kCompaction,      Kind::kPrefixRate,   Kind::kLateDocument};
  return !kApart.contains(kind);
}

void write_triple(Writer& writer, std::mt19937& draw) {
  const Scene scene = kScenes[draw() % 3];
  const llm::Dialect dialect = kDialects[draw() % 3];
  std::vector<const Plant*> three;
  for (int tries = 0; tries < 60 && three.size() < 3; ++tries) {
    const Plant* next = &plants()[draw() % plants().size()];
    if (stacks(next->kind) && next->fits(scene, dialect) && std::ranges::find(three, next) == three.end())
      three.push_back(next);
  }
  if (three.size() < 3) return;
  const auto seed = static_cast<unsigned>(draw());
  std::mt19937 random(seed);
  Calls calls = clean(scene, dialect, random);
  json::array planted;
  for (const Plant* plant : three) {
    plant->apply(calls, dialect, random);
    planted.push_back(about(*plant));
  }
  writer.write(calls, dialect, seed, std::move(planted));
}

void write_all(const std::string& folder, unsigned seed) {
  Writer writer(folder);
  for (const Scene scene : kScenes)
    for (const llm::Dialect dialect : kDialects) {
      std::mt19937 random(seed);
      writer.write(clean(scene, dialect, random), dialect, seed, {});
      for (const Plant& plant : plants())
        if (plant.fits(scene, dialect)) write_alone(writer, plant, scene, dialect, seed);
    }
  std::mt19937 draw(seed);
  for (int i = 0; i < kTriples; ++i) write_triple(writer, draw);
  writer.finish();
}

}  // namespace
}  // namespace payonce::prefix::corpus

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  payonce::prefix::corpus::write_all(argv[1], argc > 2 ? static_cast<unsigned>(std::stoul(argv[2])) : 20261126);
  return 0;
}
