// `payonce audit --simulate`: the write gate over a block trace, told as a table and as JSON.  Threads: one.
#pragma once

#include <string>

#include "prefix/gate/write_gate.h"

namespace payonce {

struct GateOptions {
  std::string trace, decisions, json_file;  // the last two: files to write; empty: none
  double ttl_s = 300;
  prefix::Prices prices;
};

// The exit status.
int run_gate(const GateOptions& options);

}  // namespace payonce
