// A recorded answer in the response store. Immutable once made; shared by readers.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "llm/response.h"

namespace payonce::cache {

struct Entry {
  std::string key;       // CacheKey::text()
  std::string scope;     // CacheKey::scope
  std::string versions;  // canonical version tags, for purge by version
  std::string model;
  llm::Dialect dialect = llm::Dialect::kOther;
  llm::Form form = llm::Form::kJson;
  bool include_usage = false;     // of the recorded stream's request
  std::string content_type;       // as recorded
  base::Bytes body;               // as recorded, byte for byte
  std::vector<uint32_t> pace_ms;  // recorded streams: arrival of each chunk after the first byte; for paced replay
  std::vector<uint32_t> pace_offset;  // and its byte offset; same length as pace_ms
  llm::Usage usage;
  double cost_usd = 0;     // what the answer cost, list price of its day
  int64_t created_ms = 0;  // unix
  int64_t expires_ms = 0;  // unix
  size_t charged_bytes() const { return sizeof(Entry) + key.size() + body.size() + 8 * pace_ms.size() + 256; }
};

using EntryPtr = std::shared_ptr<const Entry>;

}  // namespace payonce::cache
