// Breakers that no text shows: time, markers, rates.  Threads: one at a time.  Memory: bounded.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "prefix/breakers/breaks.h"
#include "prefix/breakers/facts.h"

namespace payonce::prefix {

// A break and the tokens that it concerns, with the factor of the input price that each of them lost.
struct TimedBreak {
  Break what;
  double tokens = 0;
  double factor = 0;
};

class TimingRules {
 public:
  // `previous`: of the same conversation; null if there is none.
  std::vector<TimedBreak> observe(const KeptRequest& now, const KeptRequest* previous, uint32_t site,
                                  const ProviderFacts& facts);
  // What only all requests together show: markers that nobody read, prefixes that never reached the minimum.
  // Each with the site and the request in which it was first seen.
  struct Late {
    uint32_t site;
    size_t request, occurrences;
    TimedBreak what;
  };
  std::vector<Late> at_end() const;

 private:
  struct Prefix {  // of a site, or one history
    int64_t cold_ms = 0, ready_ms = 0, last_ms = 0;
    uint32_t sent = 0;
    bool told = false;
    base::Hash128 first;
  };
  struct MarkerSlot {
    uint64_t writes = 0, reads = 0, steady = 0, covered = 0;  // covered: a marker in front of it was read
    uint64_t last_value = 0;
    size_t request = 0;
    Break first;
    double tokens = 0, factor = 0;
    uint32_t stable_tokens = 0, minimum = 0;
    std::string last_text;
  };
  struct SiteMarks {
    std::unordered_map<std::string, MarkerSlot> slots;
    uint64_t above = 0, below = 0;
    size_t request = 0;
    Break first_below;
    double below_tokens = 0, factor = 0;
    std::unordered_map<uint64_t, std::string> written;  // marked block values → slot
    std::vector<uint64_t> last_blocks;                  // values of the head and first messages of the last request
  };

  void expired(const KeptRequest& now, const KeptRequest& previous, const ProviderFacts& facts,
               std::vector<TimedBreak>& out);
  void looked_back(const KeptRequest& now, const KeptRequest& previous, const ProviderFacts& facts,
                   std::vector<TimedBreak>& out);
  void toggled(const KeptRequest& now, const KeptRequest& previous, std::vector<TimedBreak>& out);
  void fanned_out(const KeptRequest& now, uint32_t site, const ProviderFacts& facts, std::vector<TimedBreak>& out);
  void rate(const KeptRequest& now, uint32_t site, const ProviderFacts& facts, std::vector<TimedBreak>& out);
  void marks(const KeptRequest& now, uint32_t site, const ProviderFacts& facts);
  void mark(const KeptRequest& now, uint32_t index, SiteMarks& marks, bool& front_read, const ProviderFacts& facts);

  std::unordered_map<std::string, Prefix> prefixes_;
  std::unordered_map<std::string, std::vector<int64_t>> starts_;  // of the last minute
  std::unordered_map<uint32_t, SiteMarks> sites_;
};

// Whether the request asks for caching where its provider wants to be asked.
bool asks_for_caching(const KeptRequest& kept);

}  // namespace payonce::prefix
