#include "prefix/saved_state.h"

#include <algorithm>
#include <utility>

namespace payonce::prefix {
namespace {

constexpr std::string_view kMagic = "PAYPREFIX";
constexpr uint16_t kVersion = 1;
constexpr size_t kDigest_bytes = std::tuple_size_v<base::Digest>;

std::string digest_of(std::string_view bytes) {
  const base::Digest digest = base::sha256(bytes);
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

}  // namespace

std::string seal(std::string payload) {
  std::string out(kMagic);
  base::put_number(out, kVersion);
  out += payload;
  return out += digest_of(out);
}

base::Result<std::string_view> unseal(std::string_view bytes) {
  const auto corrupt = [](std::string_view why) {
    return base::fail(base::Code::kCorrupt, "state of the prefix layer: " + std::string(why) + "; it starts anew");
  };
  if (bytes.size() < kMagic.size() + sizeof kVersion + kDigest_bytes || !bytes.starts_with(kMagic))
    return corrupt("not such a file");
  const std::string_view body = bytes.substr(0, bytes.size() - kDigest_bytes);
  if (digest_of(body) != bytes.substr(body.size())) return corrupt("checksum differs");
  base::NumberReader from(body.substr(kMagic.size()));
  if (const auto version = from.number<uint16_t>(); version != kVersion)
    return corrupt("version " + std::to_string(version) + ", expected " + std::to_string(kVersion));
  return body.substr(kMagic.size() + sizeof kVersion);
}

void put_text(std::string& out, std::string_view text) {
  base::put_number(out, static_cast<uint32_t>(text.size()));
  out += text;
}

std::string take_text(base::NumberReader& from) { return std::string(from.text(from.number<uint32_t>())); }

void put_hashes(std::string& out, const std::vector<base::Hash128>& hashes) {
  base::put_number(out, static_cast<uint32_t>(hashes.size()));
  for (const base::Hash128& hash : hashes) put_hash(out, hash);
}

std::vector<base::Hash128> take_hashes(base::NumberReader& from) {
  std::vector<base::Hash128> out;
  for (auto left = from.number<uint32_t>(); left > 0 && from.ok(); --left) out.push_back(take_hash(from));
  return out;
}

}  // namespace payonce::prefix
