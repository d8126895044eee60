#include "cache/record.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <array>
#include <bit>
#include <limits>
#include <utility>

#include "base/assert.h"
#include "base/little_endian.h"

namespace payonce::cache {
namespace {

using base::Code;
using base::fail;
using base::NumberReader;
using base::put_number;

constexpr std::string_view kSegmentMagic = "PAYRESP1";
constexpr uint8_t kCompressed = 1;
constexpr uint8_t kIncludeUsage = 1, kUsageKnown = 2;

// Stable numbers: the enum may be reordered, the log may not.
constexpr std::array<std::pair<llm::Dialect, uint8_t>, 8> kDialects = {{
    {llm::Dialect::kOther, 0},
    {llm::Dialect::kOpenAiChat, 1},
    {llm::Dialect::kOpenAiResponses, 2},
    {llm::Dialect::kOpenAiEmbeddings, 3},
    {llm::Dialect::kOpenAiCompletions, 4},
    {llm::Dialect::kAnthropicMessages, 5},
    {llm::Dialect::kAnthropicCountTokens, 6},
    {llm::Dialect::kGemini, 7},
}};

uint8_t number_of(llm::Dialect dialect) {
  for (const auto& [value, number] : kDialects) {
    if (value == dialect) return number;
  }
  PAYONCE_ASSERT(false && "a dialect without a number");
  return 0;
}

std::optional<llm::Dialect> dialect_of(uint8_t number) {
  for (const auto& [value, known] : kDialects) {
    if (known == number) return value;
  }
  return std::nullopt;
}

uint64_t checksum64(std::string_view bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

bool fits16(std::string_view text) { return text.size() <= std::numeric_limits<uint16_t>::max(); }

std::string encode_header(RecordHeader header, std::string_view key, std::string_view meta, std::string_view value,
                          uint64_t seed) {
  std::string body;
  body.reserve(kRecordHeaderBytes + key.size() + meta.size() + value.size());
  body.append(kRecordHeaderBytes, '\0').append(key).append(meta).append(value);
  const std::string_view parts = std::string_view(body).substr(kRecordHeaderBytes);
  const XXH128_hash_t checksum = XXH3_128bits_withSeed(parts.data(), parts.size(), seed);

  std::string out(kRecordMagic);
  put_number(out, static_cast<uint8_t>(header.type));
  put_number(out, uint8_t{header.compressed ? kCompressed : uint8_t{0}});
  put_number(out, uint16_t{0});
  put_number(out, header.sequence);
  put_number(out, header.last_purge);
  put_number(out, header.created_ms);
  put_number(out, header.expires_ms);
  put_number(out, static_cast<uint32_t>(key.size()));
  put_number(out, static_cast<uint32_t>(meta.size()));
  put_number(out, static_cast<uint32_t>(value.size()));
  put_number(out, header.raw_size);
  put_number(out, checksum64(parts.substr(0, key.size() + meta.size()), seed));
  put_number(out, uint64_t{checksum.low64});
  put_number(out, uint64_t{checksum.high64});
  put_number(out, checksum64(out, seed));
  body.replace(0, kRecordHeaderBytes, out);
  return body;
}

struct Meta {
  uint16_t scope_size = 0, versions_size = 0, model_size = 0, content_type_size = 0;
  uint8_t dialect = 0, form = 0, flags = 0;
  llm::Usage usage;
  double cost_usd = 0;
  uint32_t pace_count = 0, body_size = 0;
  std::string_view scope, versions, model, content_type;
};

std::string encode_meta(const Entry& entry) {
  std::string out;
  for (const std::string* text : {&entry.scope, &entry.versions, &entry.model, &entry.content_type})
    put_number(out, static_cast<uint16_t>(text->size()));
  put_number(out, number_of(entry.dialect));
  put_number(out, uint8_t{entry.form == llm::Form::kStream ? uint8_t{1} : uint8_t{0}});
  const int flags = (entry.include_usage ? kIncludeUsage : 0) | (entry.usage.known ? kUsageKnown : 0);
  put_number(out, static_cast<uint8_t>(flags));
  put_number(out, uint8_t{0});
  for (const int64_t tokens :
       {entry.usage.fresh, entry.usage.read, entry.usage.write_short, entry.usage.write_long, entry.usage.output})
    put_number(out, tokens);
  put_number(out, std::bit_cast<uint64_t>(entry.cost_usd));
  put_number(out, static_cast<uint32_t>(entry.pace_ms.size()));
  put_number(out, static_cast<uint32_t>(entry.body.size()));
  return out.append(entry.scope).append(entry.versions).append(entry.model).append(entry.content_type);
}

base::Result<Meta> decode_meta(std::string_view bytes) {
  NumberReader in(bytes);
  Meta meta;
  for (uint16_t* size : {&meta.scope_size, &meta.versions_size, &meta.model_size, &meta.content_type_size})
    *size = in.number<uint16_t>();
  meta.dialect = in.number<uint8_t>();
  meta.form = in.number<uint8_t>();
  meta.flags = in.number<uint8_t>();
  (void)in.number<uint8_t>();
  for (int64_t* tokens :
       {&meta.usage.fresh, &meta.usage.read, &meta.usage.write_short, &meta.usage.write_long, &meta.usage.output})
    *tokens = in.number<int64_t>();
  meta.usage.known = (meta.flags & kUsageKnown) != 0;
  meta.cost_usd = std::bit_cast<double>(in.number<uint64_t>());
  meta.pace_count = in.number<uint32_t>();
  meta.body_size = in.number<uint32_t>();
  meta.scope = in.text(meta.scope_size);
  meta.versions = in.text(meta.versions_size);
  meta.model = in.text(meta.model_size);
  meta.content_type = in.text(meta.content_type_size);
  if (!in.ok() || !in.at_end() || meta.form > 1) return fail(Code::kCorrupt, "record: meta is malformed");
  return meta;
}

// Body, then the pace of a stream: it compresses together with the body and is not read when the index is built.
std::string raw_value(const Entry& entry) {
  std::string out;
  out.reserve(entry.body.size() + 8 * entry.pace_ms.size());
  out.append(entry.body.view());
  for (const uint32_t ms : entry.pace_ms) put_number(out, ms);
  for (const uint32_t offset : entry.pace_offset) put_number(out, offset);
  return out;
}

base::Result<std::string> stored_value(const RecordHeader& header, std::string_view stored) {
  if (!header.compressed) return std::string(stored);
  std::string raw(header.raw_size, '\0');
  const size_t got = ZSTD_decompress(raw.data(), raw.size(), stored.data(), stored.size());
  if (ZSTD_isError(got) || got != raw.size())
    return fail(Code::kCorrupt, "record: value does not decompress to its size");
  return raw;
}

base::Status verify_front(const RecordHeader& header, std::string_view bytes, uint64_t seed) {
  if (bytes.size() != size_t{header.key_size} + header.meta_size) return fail(Code::kCorrupt, "record: cut short");
  if (checksum64(bytes, seed) != header.meta_checksum) return fail(Code::kCorrupt, "record: meta fails its checksum");
  return {};
}

}  // namespace

std::string encode_segment_header(const SegmentHeader& header) {
  std::string out(kSegmentMagic);
  put_number(out, header.id);
  put_number(out, header.session);
  put_number(out, header.seed);
  put_number(out, checksum64(out, kFormatVersion));
  return out;
}

base::Result<SegmentHeader> decode_segment_header(std::string_view bytes) {
  NumberReader in(bytes.substr(0, kSegmentHeaderBytes));
  const bool magic = in.text(kSegmentMagic.size()) == kSegmentMagic;
  SegmentHeader header;
  header.id = in.number<uint64_t>();
  header.session = in.number<uint64_t>();
  header.seed = in.number<uint64_t>();
  const uint64_t checksum = in.number<uint64_t>();
  if (!in.ok() || !magic || checksum != checksum64(bytes.substr(0, kSegmentHeaderBytes - 8), kFormatVersion))
    return fail(Code::kCorrupt, fmt::format("segment header: expected format {}, found other bytes", kFormatVersion));
  return header;
}

base::Result<RecordHeader> decode_record_header(std::string_view bytes, uint64_t seed) {
  bytes = bytes.substr(0, kRecordHeaderBytes);
  NumberReader in(bytes);
  if (in.text(kRecordMagic.size()) != kRecordMagic) return fail(Code::kCorrupt, "record: no magic");
  RecordHeader header;
  const auto type = in.number<uint8_t>();
  const auto encoding = in.number<uint8_t>();
  (void)in.number<uint16_t>();
  header.sequence = in.number<uint64_t>();
  header.last_purge = in.number<uint64_t>();
  header.created_ms = in.number<int64_t>();
  header.expires_ms = in.number<int64_t>();
  for (uint32_t* size : {&header.key_size, &header.meta_size, &header.stored_size, &header.raw_size})
    *size = in.number<uint32_t>();
  header.meta_checksum = in.number<uint64_t>();
  header.checksum_low = in.number<uint64_t>();
  header.checksum_high = in.number<uint64_t>();
  const uint64_t checksum = in.number<uint64_t>();
  if (!in.ok() || checksum != checksum64(bytes.substr(0, kRecordHeaderBytes - 8), seed))
    return fail(Code::kCorrupt, "record: header fails its checksum");
  header.type = static_cast<RecordType>(type);
  header.compressed = encoding == kCompressed;
  const bool known = (type == 1 || type == 2) && encoding <= kCompressed;
  const bool sized = header.key_size <= kMaxKeyBytes && header.meta_size <= kMaxMetaBytes &&
                     header.raw_size <= kMaxValueBytes && header.stored_size <= header.raw_size &&
                     (header.compressed || header.stored_size == header.raw_size);
  if (!known || !sized) return fail(Code::kCorrupt, "record: header names an unknown type or a size over its limit");
  return header;
}

base::Result<RecordLabels> decode_labels(const RecordHeader& header, std::string_view bytes, uint64_t seed) {
  PAYONCE_CHECK_OK(verify_front(header, bytes, seed));
  PAYONCE_TRY(const Meta meta, decode_meta(bytes.substr(header.key_size)));
  return RecordLabels{.key = bytes.substr(0, header.key_size),
                      .scope = meta.scope,
                      .versions = meta.versions,
                      .model = meta.model,
                      .body_size = meta.body_size};
}

base::Result<Purge> decode_purge(const RecordHeader& header, std::string_view bytes, uint64_t seed) {
  PAYONCE_CHECK_OK(verify_front(header, bytes, seed));
  NumberReader in(bytes);
  Purge purge;
  purge.sequence = header.sequence;
  purge.key = in.text(header.key_size);
  purge.created_until_ms = in.number<int64_t>();
  const auto scope = in.number<uint16_t>();
  const auto version = in.number<uint16_t>();
  const auto model = in.number<uint16_t>();
  purge.scope = in.text(scope);
  purge.version = in.text(version);
  purge.model = in.text(model);
  if (!in.ok() || !in.at_end()) return fail(Code::kCorrupt, "record: purge is malformed");
  return purge;
}

Codec::Codec() : compressor_(ZSTD_createCCtx()) { PAYONCE_ASSERT(compressor_ != nullptr); }

std::optional<std::string> Codec::encode_put(const Entry& entry, const Stamp& stamp) {
  if (entry.pace_ms.size() != entry.pace_offset.size()) return std::nullopt;
  if (!fits16(entry.scope) || !fits16(entry.versions) || !fits16(entry.model) || !fits16(entry.content_type))
    return std::nullopt;
  const std::string meta = encode_meta(entry);
  const std::string raw = raw_value(entry);
  if (entry.key.size() > kMaxKeyBytes || meta.size() > kMaxMetaBytes || raw.size() > kMaxValueBytes)
    return std::nullopt;
  // One byte less than raw: a value that does not shrink is kept as it is.
  std::string packed(raw.empty() ? 0 : raw.size() - 1, '\0');
  const size_t got = ZSTD_compressCCtx(compressor_.get(), packed.data(), packed.size(), raw.data(), raw.size(), 1);
  const bool compressed = !ZSTD_isError(got) && got <= packed.size();
  if (compressed) packed.resize(got);
  const RecordHeader header{.type = RecordType::kPut,
                            .compressed = compressed,
                            .sequence = stamp.sequence,
                            .last_purge = stamp.last_purge,
                            .created_ms = entry.created_ms,
                            .expires_ms = entry.expires_ms,
                            .raw_size = static_cast<uint32_t>(raw.size())};
  return encode_header(header, entry.key, meta, compressed ? packed : raw, stamp.seed);
}

std::optional<std::string> Codec::encode_purge(const Purge& purge, const Stamp& stamp) {
  if (purge.key.size() > kMaxKeyBytes || !fits16(purge.scope) || !fits16(purge.version) || !fits16(purge.model))
    return std::nullopt;
  std::string meta;
  put_number(meta, purge.created_until_ms);
  for (const std::string* text : {&purge.scope, &purge.version, &purge.model})
    put_number(meta, static_cast<uint16_t>(text->size()));
  meta.append(purge.scope).append(purge.version).append(purge.model);
  if (meta.size() > kMaxMetaBytes) return std::nullopt;
  const RecordHeader header{.type = RecordType::kPurge, .sequence = stamp.sequence, .last_purge = stamp.last_purge};
  return encode_header(header, purge.key, meta, {}, stamp.seed);
}

base::Result<EntryPtr> Codec::decode_put(std::string_view bytes, std::string_view key, uint64_t sequence,
                                         uint64_t seed) {
  PAYONCE_TRY(const RecordHeader header, decode_record_header(bytes, seed));
  if (header.type != RecordType::kPut || header.sequence != sequence || header.total_bytes() != bytes.size())
    return fail(Code::kCorrupt, "record: not the one that the index names");
  const std::string_view parts = bytes.substr(kRecordHeaderBytes);
  const XXH128_hash_t checksum = XXH3_128bits_withSeed(parts.data(), parts.size(), seed);
  if (checksum.low64 != header.checksum_low || checksum.high64 != header.checksum_high)
    return fail(Code::kCorrupt, "record: fails its checksum");
  if (parts.substr(0, header.key_size) != key) return fail(Code::kCorrupt, "record: of another key");
  PAYONCE_TRY(const Meta meta, decode_meta(parts.substr(header.key_size, header.meta_size)));
  const std::optional<llm::Dialect> dialect = dialect_of(meta.dialect);
  if (!dialect || uint64_t{meta.body_size} + 8 * uint64_t{meta.pace_count} != header.raw_size)
    return fail(Code::kCorrupt, "record: unknown dialect, or sizes that contradict each other");
  PAYONCE_TRY(std::string raw, stored_value(header, parts.substr(size_t{header.key_size} + header.meta_size)));

  auto entry = std::make_shared<Entry>();
  entry->key = key;
  entry->scope = meta.scope;
  entry->versions = meta.versions;
  entry->model = meta.model;
  entry->dialect = *dialect;
  entry->form = meta.form == 1 ? llm::Form::kStream : llm::Form::kJson;
  entry->include_usage = (meta.flags & kIncludeUsage) != 0;
  entry->content_type = meta.content_type;
  NumberReader pace(std::string_view(raw).substr(meta.body_size));
  for (uint32_t i = 0; i < meta.pace_count; ++i) entry->pace_ms.push_back(pace.number<uint32_t>());
  for (uint32_t i = 0; i < meta.pace_count; ++i) entry->pace_offset.push_back(pace.number<uint32_t>());
  raw.resize(meta.body_size);
  entry->body = base::Bytes(std::move(raw));
  entry->usage = meta.usage;
  entry->cost_usd = meta.cost_usd;
  entry->created_ms = header.created_ms;
  entry->expires_ms = header.expires_ms;
  return EntryPtr(std::move(entry));
}

}  // namespace payonce::cache
