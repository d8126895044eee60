// Bytes of the KV block log: a whole segment of anything is scanned and read, and each block that comes out was put
// in by us; a record of ours with one byte changed is refused.
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "fuzz.h"
#include "kv/segment.h"
#include "memory_env.h"

namespace {

using namespace payonce;

constexpr uint64_t kSeed = 7;

kv::Block made_block(std::string_view payload) {
  kv::Block block;
  block.hash = base::sha256(payload);
  block.tokens = {1, 2, 3};
  block.payload = base::Bytes::copy(payload);
  return block;
}

// Every block that can be read out of `content`.
std::map<kv::BlockHash, std::string> blocks_in(const std::string& content) {
  std::map<kv::BlockHash, std::string> out;
  fuzz::MemoryEnv env(content);
  const auto segment = kv::Segment::open(env, "", 1);
  if (!segment) return out;
  std::map<uint64_t, kv::RecordHeader> headers;
  (void)(*segment)->scan([&](const kv::RecordHeader& header, uint64_t offset) { headers[offset] = header; });
  for (const auto& [offset, header] : headers) {
    const auto block = (*segment)->read_block(offset, header);
    if (block) out[(*block)->hash] = std::string((*block)->payload.view());
  }
  return out;
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = fuzz::text(data, size);
  (void)kv::decode_segment_header(bytes);
  if (const auto header = kv::decode_record_header(bytes, kSeed)) (void)kv::verify_record(*header, bytes, kSeed);

  // A segment of the input alone: a checksum over what it may hold cannot be guessed.
  const std::string front = kv::encode_segment_header({.id = 1, .seed = kSeed});
  (void)blocks_in(std::string(bytes));
  (void)blocks_in(front + std::string(bytes));

  // Two records of ours, one byte of the file changed: each is read as it was, or not at all.
  const kv::Block first = made_block(bytes);
  const kv::Block second = made_block("second");
  std::string content = front;
  std::string record;
  for (const kv::Block* block : {&first, &second}) {
    kv::encode_record(*block, kSeed, record);
    content += record;
  }
  PAYONCE_FUZZ_CHECK(blocks_in(content).size() == 2);
  const size_t at = size < 3 ? 0 : (data[0] * 65536u + data[1] * 256u + data[2]) % content.size();
  content[at] = static_cast<char>(content[at] ^ (size > 3 && data[3] != 0 ? data[3] : 1));
  const auto found = blocks_in(content);
  PAYONCE_FUZZ_CHECK(at < kv::kAlignBytes || !found.empty());
  for (const auto& [hash, payload] : found)
    PAYONCE_FUZZ_CHECK((hash == first.hash && payload == bytes) || (hash == second.hash && payload == "second"));
  return 0;
}
