// Call sites: which requests are made by the same piece of an application, told by their tools and system text,
// however much of that changes each time. A site remembers the order in which its tools came first, how its lists are
// spelled, and which segments of its system text change. Threads: all any (one lock).  Bounded: `max_bytes`, a
// quarter of them for texts that were cut into segments, and kMaxSites; sites that were not seen for longest are
// forgotten.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/little_endian.h"
#include "base/lru_map.h"
#include "base/result.h"
#include "prefix/prompt/prompt.h"
#include "prefix/text_history.h"
#include "prefix/volatile_text.h"

namespace payonce::prefix {

// The bytes of a list beside its elements, as the site spelled them first. No separator: no list had two elements.
struct ListStyle {
  std::string open = "[", separator, close = "]";
  bool operator==(const ListStyle&) const = default;
};

// What is known of a request's site.
struct SiteView {
  base::Hash128 id;
  uint64_t requests = 0;             // before this one
  double tokens_ratio = 1;           // billed tokens for each estimated one, as seen so far
  std::vector<uint32_t> tool_order;  // indices of the prompt's tools in the order to be sent
  ListStyle tools_style, messages_style;
  struct Text {          // of a text block of the system section
    uint32_t block = 0;  // of Prompt::blocks
    std::shared_ptr<const SegmentedText> of;
    TextHistory::Verdict verdict;
  };
  std::vector<Text> system;
};

class CallSites {
 public:
  static constexpr size_t kMaxSites = 1024;

  explicit CallSites(size_t max_bytes = 48u << 20)
      : least_bytes_(max_bytes / 4 * 3 / kMaxSites + 1), sites_(max_bytes / 4 * 3), texts_(max_bytes / 4) {}

  // `account`: whose prompt cache it is; sites of two accounts are never one.
  SiteView recognise(const base::Hash128& account, const Prompt& prompt, const base::KeyedHash& hash);

  size_t size() const;

  struct Summary {
    base::Hash128 id;
    uint64_t requests = 0;
    size_t tools = 0;  // names, of all that it ever sent
    double tokens_ratio = 1;
    std::vector<TextHistory::Census> texts;  // of its system text, part by part
  };
  // The sites seen latest, at most so many.
  std::vector<Summary> summaries(size_t limit) const;

  // So many tokens were billed for so many estimated ones.
  void billed(const base::Hash128& site, double estimated, double tokens);

  // The sites that were seen latest; load() adds them to none. False: no bytes that save() could have written.
  void save(std::string& out) const;
  bool load(base::NumberReader& from);

 private:
  struct Site {
    base::Hash128 id, account;
    std::vector<base::Hash128> features;  // sorted: tools' names, slots of the system text
    std::vector<base::Hash128> tools;     // names, in the order in which they came first
    std::vector<TextHistory> texts;       // of the system text, in its order
    ListStyle tools_style, messages_style;
    uint64_t requests = 0;
    double tokens_ratio = 1;

    size_t bytes() const;  // of memory, about
  };
  std::vector<SiteView::Text> system_texts(const Prompt& prompt, const base::KeyedHash& hash);
  Site& site_of(const base::Hash128& account, const base::Hash128& front, const std::vector<base::Hash128>& features);
  static void note_changes(Site& site, std::vector<SiteView::Text>& texts);

  size_t weight(const Site& site) const { return std::max(site.bytes(), least_bytes_); }

  const size_t least_bytes_;  // that a site counts for, so that there are no more than kMaxSites
  mutable std::mutex mutex_;
  base::LruMap<Site> sites_;                                  // guarded by mutex_; weight: bytes
  base::LruMap<std::shared_ptr<const SegmentedText>> texts_;  // guarded by mutex_; by value; weight: bytes
  // Guarded by mutex_; hash of tools and system text → site.
  base::LruMap<base::Hash128> known_fronts_{kMaxSites * 8};
};

}  // namespace payonce::prefix
