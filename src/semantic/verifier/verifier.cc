#include "semantic/verifier/verifier.h"

#include <fstream>
#include <iterator>

namespace payonce::semantic {

std::string_view built_in_model();  // generated from model.bin

namespace {

std::array<std::string_view, kFeatureCount> feature_names() {
  std::array<std::string_view, kFeatureCount> out;
  for (size_t i = 0; i < kFeatureCount; ++i) out[i] = kFeatures[i].name;
  return out;
}

}  // namespace

base::Result<Verifier> Verifier::built_in() { return parse(built_in_model()); }

base::Result<Verifier> Verifier::parse(std::string_view bytes) {
  PAYONCE_TRY(Trees trees, Trees::parse(bytes, feature_names()));
  return Verifier(std::move(trees));
}

base::Result<Verifier> Verifier::load(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return base::fail(base::Code::kNotFound, "verifier model '" + path + "': cannot be read; check the path");
  std::string bytes;
  bytes.resize(kMaxModelBytes + 1);
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<size_t>(file.gcount()));
  return parse(bytes);
}

Judgement Verifier::judge(const Question& cached, const Question& asked, const Neighbourhood& near) const {
  const Difference apart = difference(cached.text, asked.text);
  return {.logit = logit(features(cached, asked, near, apart)), .conflict = conflict(cached.text, asked.text, apart)};
}

}  // namespace payonce::semantic
