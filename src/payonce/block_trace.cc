#include "payonce/block_trace.h"

#include <fmt/format.h>

#include <boost/json.hpp>

namespace payonce {
namespace {

namespace json = boost::json;

constexpr uint64_t kMaxTokens = 100'000'000;    // of one prompt; a larger number is a damaged line
constexpr int64_t kMaxTimestampMs = 1LL << 53;  // what a JSON number holds exactly

// An id of the trace as a chain hash: the same for every run, spread over all bits (splitmix64).
base::Hash128 chain_of(uint64_t id) {
  const auto mix = [](uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
  };
  return {.low = mix(id + 0x9e3779b97f4a7c15ULL), .high = mix(~id)};
}

base::Result<uint64_t> whole_number(const json::object& row, std::string_view name, uint64_t max, bool required) {
  const json::value* found = row.if_contains(name);
  if (found == nullptr) {
    if (!required) return uint64_t{0};
    return base::fail(base::Code::kInvalid, fmt::format("no \"{}\"", name));
  }
  boost::system::error_code error;
  const auto number = found->to_number<uint64_t>(error);
  if (error || number > max)
    return base::fail(base::Code::kInvalid, fmt::format("\"{}\" is {}, expected a whole number from 0 to {}", name,
                                                        json::serialize(*found).substr(0, 40), max));
  return number;
}

base::Result<TraceRequest> parse(const std::string& text) {
  boost::system::error_code error;
  const json::value value = json::parse(text, error);
  if (error) return base::fail(base::Code::kInvalid, "no JSON: " + error.message());
  const json::object* row = value.if_object();
  if (row == nullptr) return base::fail(base::Code::kInvalid, "expected a JSON object");
  TraceRequest out;
  PAYONCE_TRY(const uint64_t at, whole_number(*row, "timestamp", kMaxTimestampMs, true));
  PAYONCE_TRY(const uint64_t input, whole_number(*row, "input_length", kMaxTokens, true));
  PAYONCE_TRY(const uint64_t output, whole_number(*row, "output_length", kMaxTokens, false));
  out.timestamp_ms = static_cast<int64_t>(at);
  out.input_tokens = static_cast<uint32_t>(input);
  out.output_tokens = static_cast<uint32_t>(output);

  const json::value* ids = row->if_contains("hash_ids");
  if (ids == nullptr || !ids->is_array()) return base::fail(base::Code::kInvalid, "no array \"hash_ids\"");
  const uint64_t whole = input / kTraceBlockTokens;
  if (ids->as_array().size() < whole)
    return base::fail(base::Code::kInvalid, fmt::format("\"hash_ids\" has {} ids, but {} tokens make {} whole blocks",
                                                        ids->as_array().size(), input, whole));
  for (uint64_t i = 0; i < whole; ++i) {
    const auto id = ids->as_array()[i].to_number<uint64_t>(error);
    if (error)
      return base::fail(base::Code::kInvalid, fmt::format("\"hash_ids\"[{}] is no whole number from 0 on", i));
    out.positions.push_back({chain_of(id), static_cast<uint32_t>((i + 1) * kTraceBlockTokens)});
  }
  return out;
}

}  // namespace

base::Result<BlockTrace> BlockTrace::open(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return base::fail(base::Code::kNotFound, fmt::format("cannot read '{}'", path));
  return BlockTrace(path, std::move(file));
}

base::Result<std::optional<TraceRequest>> BlockTrace::next() {
  while (std::getline(file_, text_)) {
    ++line_;
    if (text_.find_first_not_of(" \t\r") == std::string::npos) continue;
    auto row = parse(text_);
    if (!row) return base::fail(row.error().code, fmt::format("{}, line {}: {}", path_, line_, row.error().message));
    return std::optional(std::move(*row));
  }
  if (file_.bad())
    return base::fail(base::Code::kInternal, fmt::format("{}: reading failed after line {}", path_, line_));
  return std::optional<TraceRequest>();
}

}  // namespace payonce
