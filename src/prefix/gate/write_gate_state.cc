// The learned state as bytes: magic, version, numbers, SHA-256 of all before it.
#include <bit>
#include <cmath>

#include "prefix/gate/write_gate.h"

namespace payonce::prefix {
namespace {

constexpr std::string_view kMagic = "PAYGATE";
constexpr uint16_t kVersion = 1;  // of the numbers and of what the factors mean

std::string_view view(const base::Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

}  // namespace

std::string WriteGate::save() const {
  std::string out(kMagic);
  base::put_number(out, kVersion);
  predictor_.save(out);
  gaps_.save(out);
  for (const double n : left_) base::put_number(out, std::bit_cast<uint64_t>(n));
  base::put_number(out, std::bit_cast<uint64_t>(go_on_.sum));
  base::put_number(out, std::bit_cast<uint64_t>(go_on_.weight));
  base::put_number(out, lived_ms_);
  out += view(base::sha256(out));
  return out;
}

void WriteGate::forget() {
  predictor_ = {};
  gaps_ = {};
  left_ = {};
  go_on_ = {};
  lived_ms_ = 0;
}

base::Status WriteGate::load(std::string_view bytes) {
  forget();
  constexpr size_t kDigest = std::tuple_size_v<base::Digest>;
  const auto corrupt = [](std::string why) {
    return base::fail(base::Code::kCorrupt, "state of the write gate: " + std::move(why) + "; it starts anew");
  };
  if (bytes.size() < kMagic.size() + kDigest || !bytes.starts_with(kMagic)) return corrupt("not such a file");
  const std::string_view body = bytes.substr(0, bytes.size() - kDigest);
  if (view(base::sha256(body)) != bytes.substr(body.size())) return corrupt("checksum differs");
  base::NumberReader from(body.substr(kMagic.size()));
  const auto version = from.number<uint16_t>();
  if (version != kVersion)
    return corrupt("version " + std::to_string(version) + ", expected " + std::to_string(kVersion));
  bool good = predictor_.load(from) && gaps_.load(from);
  const auto take = [&](double& n) {
    n = std::bit_cast<double>(from.number<uint64_t>());
    good = good && std::isfinite(n) && n >= 0;
  };
  for (double& n : left_) take(n);
  take(go_on_.sum);
  take(go_on_.weight);
  lived_ms_ = from.number<int64_t>();
  if (good && lived_ms_ >= 0 && from.ok() && from.at_end()) return {};
  forget();
  return corrupt("numbers that cannot be");
}

}  // namespace payonce::prefix
