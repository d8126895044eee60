#include "history/sink.h"

#include <array>

namespace payonce::history {
namespace {

constexpr size_t kMaxReasons = 100;
constexpr size_t kMaxTypes = 100;

std::string reason_of(const std::string& why) {
  return why.substr(0, std::min(why.find(" at byte "), why.find(':')));
}

std::string_view bytes_of(const int64_t& number) { return {reinterpret_cast<const char*>(&number), sizeof number}; }

}  // namespace

std::pair<size_t, bool> Sink::add_as_is(const Call& call, std::string_view key) {
  const size_t index = log_.calls.size();
  if (!key.empty() || (call.at_ms > 0 && !call.response.empty())) {
    const base::Hash128 name = key.empty() ? hash_.parts(std::array<std::string_view, 4>{
                                                 bytes_of(call.at_ms), call.session, call.request, call.response})
                                           : hash_(key);
    const auto [known, fresh] = known_.try_emplace(name, index);
    // Equal rows of one file are two equal calls within a millisecond, as caches answer them.
    if (!fresh && (!key.empty() || log_.calls[known->second].file != call.file)) {
      ++log_.duplicates.records;
      return {known->second, false};
    }
  }
  ++log_.files[call.file].calls;
  Call& kept = log_.calls.emplace_back(call);
  kept.id = arena().keep(call.id);
  for (std::string_view* const name : {&kept.session, &kept.user, &kept.model, &kept.provider})
    *name = interned(*name);
  return {index, true};
}

std::string_view Sink::interned(std::string_view name) {
  if (const auto known = names_.find(name); known != names_.end()) return *known;
  return *names_.insert(arena().keep(name)).first;
}

void Sink::skip_in(uint32_t file, uint64_t line, std::string why) {
  std::string reason = reason_of(why);
  if (log_.skipped_by_reason.size() >= kMaxReasons && log_.skipped_by_reason.count(reason) == 0) reason = "other";
  ++log_.skipped_by_reason[reason];
  if (log_.skipped.size() < options_.limits.skipped) log_.skipped.push_back({file, line, std::move(why)});
}

void Sink::ignore(std::string_view type) {
  const auto known = log_.ignored.find(type);
  if (known != log_.ignored.end())
    ++known->second;
  else
    ++log_.ignored[log_.ignored.size() < kMaxTypes ? std::string(type.substr(0, 64)) : "other"];
}

}  // namespace payonce::history
