#include "kv_events/events.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "kv_events/msgpack.h"

namespace payonce::kv_events {
namespace {

using Head = MsgPackReader::Head;
using Type = MsgPackReader::Type;

auto unexpected(std::string_view wanted) {
  return base::fail(base::Code::kCorrupt, fmt::format("KV events: expected {}", wanted));
}

// The members in their order in arrays; a map has their names.
constexpr std::array<std::string_view, 3> kBatch{"ts", "events", "data_parallel_rank"};
constexpr std::array<std::string_view, 11> kStored{
    "block_hashes", "parent_block_hash", "token_ids", "block_size",         "lora_id",   "medium",
    "lora_name",    "extra_keys",        "group_idx", "kv_cache_spec_kind", "cache_salt"};
constexpr std::array<std::string_view, 3> kRemoved{"block_hashes", "medium", "group_idx"};
constexpr size_t kNamedOnly = 10;  // of kStored: never in arrays

// The encoded values of one struct, by position in `names`; empty: absent.
template <size_t N>
using Members = std::array<std::string_view, N>;

struct Struct {
  std::string_view tag;                                                // of an event
  std::vector<std::string_view> values;                                // of an array, without the tag
  std::vector<std::pair<std::string_view, std::string_view>> members;  // of a map
};

base::Result<Struct> read_struct(MsgPackReader& reader, bool tagged) {
  PAYONCE_TRY(const Head head, reader.read());
  Struct out;
  if (head.type == Type::kArray) {
    for (uint64_t i = 0; i < head.number; ++i) {
      if (tagged && i == 0) {
        PAYONCE_TRY(const Head tag, reader.read());
        if (tag.type != Type::kText) return unexpected("an event's tag");
        out.tag = tag.bytes;
        continue;
      }
      PAYONCE_TRY(const std::string_view value, reader.read_raw());
      out.values.push_back(value);
    }
    return out;
  }
  if (head.type != Type::kMap) return unexpected("an array or a map");
  for (uint64_t i = 0; i < head.number; ++i) {
    PAYONCE_TRY(const Head name, reader.read());
    if (name.type != Type::kText) return unexpected("a member's name");
    PAYONCE_TRY(const std::string_view value, reader.read_raw());
    if (!tagged || name.bytes != "type") {
      out.members.emplace_back(name.bytes, value);
      continue;
    }
    PAYONCE_TRY(const Head tag, MsgPackReader(value).read());
    out.tag = tag.bytes;
  }
  return out;
}

template <size_t N>
Members<N> members_of(const Struct& from, const std::array<std::string_view, N>& names, size_t positional = N) {
  Members<N> out{};
  for (size_t i = 0; i < std::min(from.values.size(), positional); ++i) out[i] = from.values[i];
  for (const auto& [name, value] : from.members) {
    const auto known = std::ranges::find(names, name);
    if (known != names.end()) out[static_cast<size_t>(known - names.begin())] = value;
  }
  return out;
}

std::optional<Head> scalar(std::string_view encoded) {
  if (encoded.empty()) return std::nullopt;
  const auto head = MsgPackReader(encoded).read();
  return head && head->type != Type::kNil ? std::optional(*head) : std::nullopt;
}

std::string text_of(std::string_view encoded) {
  const auto head = scalar(encoded);
  if (!head) return {};
  return head->type == Type::kInteger ? std::to_string(static_cast<int64_t>(head->number)) : std::string(head->bytes);
}

// Integers as they are, digests by a hash of ours; {} is kept for "none".
std::optional<base::Hash128> block_hash(const Head& head) {
  static const base::KeyedHash kDigest("payonce engine block");
  if (head.type == Type::kInteger) return base::Hash128{head.number, 1};
  if (head.type == Type::kBinary || head.type == Type::kText) return kDigest(head.bytes);
  return std::nullopt;
}

base::Result<std::vector<base::Hash128>> hashes_of(std::string_view encoded) {
  MsgPackReader reader(encoded);
  PAYONCE_TRY(const Head list, reader.read());
  if (list.type != Type::kArray) return unexpected("a list of block hashes");
  std::vector<base::Hash128> out;
  out.reserve(list.number);
  for (uint64_t i = 0; i < list.number; ++i) {
    PAYONCE_TRY(const Head one, reader.read());
    const auto hash = block_hash(one);
    if (!hash) return unexpected("a block hash");
    out.push_back(*hash);
  }
  return out;
}

base::Result<std::vector<uint32_t>> tokens_of(std::string_view encoded) {
  MsgPackReader reader(encoded);
  PAYONCE_TRY(const Head list, reader.read());
  if (list.type != Type::kArray) return unexpected("a list of token ids");
  std::vector<uint32_t> out;
  out.reserve(list.number);
  for (uint64_t i = 0; i < list.number; ++i) {
    PAYONCE_TRY(const Head one, reader.read());
    if (one.type != Type::kInteger || one.number > UINT32_MAX) return unexpected("a token id");
    out.push_back(static_cast<uint32_t>(one.number));
  }
  return out;
}

std::string place_of(std::string_view medium, std::string_view group) {
  return fmt::format("{}/{}", text_of(medium), text_of(group));
}

// What a block's hash covers beside its tokens and the adapter, which vLLM names there once more.
base::Result<std::vector<std::string_view>> extras_of(std::string_view extra_keys, std::string_view salt,
                                                      const BlockStored& stored) {
  std::vector<std::string_view> out;
  if (scalar(salt)) out.assign(stored.hashes.size(), salt);
  if (!scalar(extra_keys)) return out;
  MsgPackReader reader(extra_keys);
  PAYONCE_TRY(const Head list, reader.read());
  if (list.type != Type::kArray || list.number != stored.hashes.size()) return unexpected("extra keys of each block");
  out.clear();
  for (uint64_t i = 0; i < list.number; ++i) {
    PAYONCE_TRY(const std::string_view raw, reader.read_raw());
    MsgPackReader inner(raw);
    PAYONCE_TRY(const Head keys, inner.read());
    const bool only_adapter = keys.type == Type::kArray && keys.number == 1 && !stored.adapter.empty() &&
                              inner.read().value_or(Head{}).bytes == stored.adapter;
    const bool nothing = keys.type == Type::kNil || (keys.type == Type::kArray && keys.number == 0);
    out.push_back(nothing || only_adapter ? std::string_view() : raw);
  }
  return out;
}

bool keeps_whole_prefixes(std::string_view kind) {
  return kind.empty() || kind == "unknown" || kind == "full_attention" || kind == "mla_attention" ||
         kind == "sink_full_attention";
}

base::Result<std::optional<Event>> stored_event(const Struct& from) {
  const auto members = members_of(from, kStored, kNamedOnly);
  const auto& [hashes, parent, tokens, block_size, lora_id, medium, lora_name, extra_keys, group, kind, salt] =
      members;
  if (!keeps_whole_prefixes(text_of(kind))) return std::nullopt;
  BlockStored out{.place = place_of(medium, group), .adapter = text_of(lora_name)};
  if (out.adapter.empty()) out.adapter = text_of(lora_id);
  PAYONCE_TRY(out.hashes, hashes_of(hashes));
  if (const auto head = scalar(parent)) {
    const auto hash = block_hash(*head);
    if (!hash) return unexpected("a parent's hash");
    out.parent = *hash;
  }
  PAYONCE_TRY(out.tokens, tokens_of(tokens));
  const auto size = scalar(block_size);
  if (!size || size->type != Type::kInteger || size->number > UINT32_MAX) return unexpected("a block's size");
  out.block_size = static_cast<uint32_t>(size->number);
  PAYONCE_TRY(out.extras, extras_of(extra_keys, salt, out));
  return Event(std::move(out));
}

base::Result<std::optional<Event>> event_of(const Struct& from) {
  if (from.tag == "BlockStored") return stored_event(from);
  if (from.tag == "AllBlocksCleared") return Event(AllBlocksCleared());
  if (from.tag != "BlockRemoved") return std::nullopt;
  const auto [hashes, medium, group] = members_of(from, kRemoved);
  BlockRemoved out{.place = place_of(medium, group)};
  PAYONCE_TRY(out.hashes, hashes_of(hashes));
  return Event(std::move(out));
}

}  // namespace

base::Result<Batch> decode_batch(std::string_view payload) {
  MsgPackReader reader(payload);
  PAYONCE_TRY(const Struct whole, read_struct(reader, false));
  const auto [ts, events, rank] = members_of(whole, kBatch);
  Batch out;
  if (const auto time = scalar(ts)) out.unix_s = time->real;
  MsgPackReader list(events);
  PAYONCE_TRY(const Head head, list.read());
  if (head.type != Type::kArray) return unexpected("a list of events");
  for (uint64_t i = 0; i < head.number; ++i) {
    PAYONCE_TRY(const Struct one, read_struct(list, true));
    PAYONCE_TRY(std::optional<Event> event, event_of(one));
    if (event) out.events.push_back(std::move(*event));
  }
  return out;
}

}  // namespace payonce::kv_events
