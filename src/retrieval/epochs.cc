#include "retrieval/epochs.h"

namespace payonce::retrieval {
namespace {

constexpr std::string_view kWholeStore = "";

}  // namespace

Epochs::Counter& Epochs::counter(std::string_view store, std::string_view collection) const {
  return (*counters_)[hash_.parts<2>({store, collection}).low % kCounters];
}

// Both counters only grow, so their sum is new after any write to either.
Epochs::Now Epochs::now(std::string_view store, std::string_view collection, int64_t now_us) const {
  const Counter& whole = counter(store, kWholeStore);
  Now out{.epoch = whole.epoch.load(), .settled = now_us >= whole.settled_us.load()};
  if (collection.empty()) return out;
  const Counter& own = counter(store, collection);
  out.epoch += own.epoch.load();
  out.settled = out.settled && now_us >= own.settled_us.load();
  return out;
}

void Epochs::write(std::string_view store, std::string_view collection, int64_t settled_us) {
  Counter& of = counter(store, collection.empty() ? kWholeStore : collection);
  int64_t before = of.settled_us.load();
  while (before < settled_us && !of.settled_us.compare_exchange_weak(before, settled_us)) {
  }
  of.epoch.fetch_add(1);
}

}  // namespace payonce::retrieval
