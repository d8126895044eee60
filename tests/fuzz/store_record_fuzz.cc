// Bytes of the response log: whatever a disk gives back is refused or is exactly an entry of the key asked for.
#include <string>

#include "cache/record.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace payonce::cache;
  const std::string_view bytes = payonce::fuzz::text(data, size);
  (void)decode_segment_header(bytes.substr(0, kSegmentHeaderBytes));
  constexpr uint64_t kSeed = 7;
  if (const auto header = decode_record_header(bytes, kSeed)) {
    const std::string_view rest = bytes.substr(std::min(bytes.size(), kRecordHeaderBytes));
    if (header->type == RecordType::kPut)
      (void)decode_labels(*header, rest, kSeed);
    else
      (void)decode_purge(*header, rest, kSeed);
  }
  if (const auto entry = Codec::decode_put(bytes, "k", 1, kSeed)) PAYONCE_FUZZ_CHECK((*entry)->key == "k");

  // A record of ours with one byte changed is never read as something else.
  static Codec codec;
  Entry made;
  made.key = "k";
  made.scope = "u-1";
  made.body = payonce::base::Bytes(std::string(bytes));
  const auto record = codec.encode_put(made, {.sequence = 1, .last_purge = 0, .seed = kSeed});
  if (!record) return 0;
  const auto same = Codec::decode_put(*record, "k", 1, kSeed);
  PAYONCE_FUZZ_CHECK(same && (*same)->body.view() == bytes);
  std::string damaged = *record;
  const size_t at = size < 2 ? 0 : (data[0] * 256u + data[1]) % damaged.size();
  damaged[at] = static_cast<char>(damaged[at] ^ (size > 2 && data[2] != 0 ? data[2] : 1));
  PAYONCE_FUZZ_CHECK(!Codec::decode_put(damaged, "k", 1, kSeed));
  return 0;
}
