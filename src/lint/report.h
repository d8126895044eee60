// Findings for people and programs.  Threads: pure functions.
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "lint/run.h"

namespace payonce::lint {

struct Show {
  bool text = false;    // a long excerpt instead of a short one
  bool redact = false;  // none at all
};

// As a compiler would: file:line: path:byte: kind: what, the excerpt with a caret, why, fix, cost; then a summary.
std::string as_text(const Input& input, const Result& result, const Show& show);
// {requests, skipped, findings: […]}
std::string as_json(const Input& input, const Result& result, const Show& show);
// SARIF 2.1.0 (OASIS), as code hosts read it.
std::string as_sarif(const Result& result);

}  // namespace payonce::lint
