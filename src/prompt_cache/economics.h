// What a cached prefix is worth: arithmetic of the write factor w and the read factor r, in units of the price of
// uncached input. A prefix that is written once and read n times costs w + n·r where n + 1 was the price.
// Threads: any.  Source: arithmetic; a mark pays if its prefix is read again with a probability above mark_threshold.
#pragma once

#include <cstdint>

#include "prompt_cache/rules.h"

namespace payonce::prompt_cache {

struct Factors {
  double write = 1;
  double read = 1;
};
Factors factors_of(const Rule& rule, Ttl ttl);

// The fewest reads after which writing has cost less than not caching; -1: never.
int64_t break_even_reads(Factors factors);
// The share of the price that is saved with so many reads; negative: caching costs more than none.
double saving(Factors factors, int64_t reads);
// How often an entry may be kept alive by reading it before writing it anew would have been cheaper.
int64_t pings_before_rewrite(Factors factors);
// How many such reads cost as much as the dearer class of the longer TTL.
int64_t pings_before_long(Factors factors, double long_write);
// The probability of being read again above which a mark pays.
double mark_threshold(Factors factors);

}  // namespace payonce::prompt_cache
