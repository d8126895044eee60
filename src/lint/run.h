// The whole of a lint: calls in the order of time through the detector, single requests and templates through the
// static rules.  Threads: one at a time.
#pragma once

#include <functional>
#include <vector>

#include "lint/input.h"
#include "llm/prices.h"
#include "prefix/breakers/detector.h"

namespace payonce::lint {

struct Told {
  prefix::Finding finding;  // request: index of the call; in a template 0
  std::string_view file;    // its name
  size_t line = 0;          // of the row, or in the template; 0: there are no lines
  std::string_view body;    // what the offset counts in; of the input
};

struct Result {
  size_t requests = 0;
  size_t skipped = 0;          // beside those that the input names
  std::vector<Told> findings;  // dearest first
};

struct Options {
  std::vector<prefix::Kind> kinds;  // empty: all
  prefix::Detector::Limits limits;
  prefix::Detector::FactsOf facts_of;  // null: default facts
};

// Calls whose request cannot be read are added to `input.skipped`. `input` outlives the result.
Result run(Input& input, const llm::PriceTable& prices, const Options& options);

}  // namespace payonce::lint
