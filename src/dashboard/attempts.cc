#include "dashboard/attempts.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>

namespace payonce::dashboard {

std::string network_of(std::string_view address) {
  boost::system::error_code error;
  const auto parsed = boost::asio::ip::make_address(std::string(address), error);
  if (error || parsed.is_v4() || parsed.to_v6().is_v4_mapped()) return std::string(address);
  auto bytes = parsed.to_v6().to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), static_cast<unsigned char>(0));
  return boost::asio::ip::address_v6(bytes).to_string();
}

bool Attempts::may_try(std::string_view address, std::string_view credential, int64_t now_ms) {
  const base::Hash128 hash = hash_(credential);
  const std::lock_guard lock(mutex_);
  const std::string network = network_of(address);
  if (buckets_.size() >= kAddresses && !buckets_.contains(network))
    buckets_.erase(std::min_element(buckets_.begin(), buckets_.end(), [](const auto& a, const auto& b) {
      return a.second.filled_ms < b.second.filled_ms;
    }));
  const auto [at, is_new] = buckets_.try_emplace(network);
  Bucket& bucket = at->second;
  if (!is_new) {
    const auto passed_ms = static_cast<double>(std::max<int64_t>(0, now_ms - bucket.filled_ms));
    bucket.left = std::min(kBurst, bucket.left + passed_ms / static_cast<double>(kRefill_ms));
  }
  bucket.filled_ms = now_ms;
  if (const auto before = std::ranges::find(bucket.known, hash); before != bucket.known.end()) {
    std::rotate(before, before + 1, bucket.known.end());
    return true;
  }
  if (bucket.left < 1) return false;
  bucket.left -= 1;
  bucket.paid = hash;
  if (bucket.known.size() == kKnown) bucket.known.pop_front();
  bucket.known.push_back(hash);
  return true;
}

void Attempts::was_right(std::string_view address, std::string_view credential) {
  const base::Hash128 hash = hash_(credential);
  const std::lock_guard lock(mutex_);
  const auto at = buckets_.find(network_of(address));
  if (at == buckets_.end() || at->second.paid != hash) return;
  at->second.paid.reset();
  at->second.left = std::min(kBurst, at->second.left + 1);
}

}  // namespace payonce::dashboard
