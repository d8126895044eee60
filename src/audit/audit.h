// The whole of an audit: a log in, a report out.  Threads: one at a time; trials run one after another.
#pragma once

#include <functional>

#include "audit/report.h"
#include "embed/embedder.h"

namespace payonce::audit {

struct Wanted {
  bool show_text = false;   // excerpts of prompts and questions
  bool findings = true;     // prefix breakers
  bool sensitivity = true;  // the same log under other settings, and each fix alone
  size_t sessions = 50;     // that are told call by call
};

// What is being done, for a progress bar.
struct Stage {
  std::string_view name;
  size_t done = 0, all = 0;
};

// `embedder` null: no semantic layer. REQUIRES: log.calls by time.
Report audit(const history::Log& log, const Options& options, embed::Embedder* embedder, const Wanted& wanted,
             const std::function<void(Stage)>& progress = nullptr);

}  // namespace payonce::audit
