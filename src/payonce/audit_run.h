// `payonce audit LOG…`: reads, replays, reports.  Threads: one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "audit/audit.h"
#include "config/settings.h"
#include "history/log.h"

namespace payonce {

struct AuditOptions {
  std::vector<std::string> logs;
  std::optional<history::Format> format;  // none: each file's content tells
  std::string html_file, json_file;       // to write; empty: none; json_file "-": printed instead of the summary
  audit::Sharing sharing = audit::Sharing::kUser;
  std::string provider;
  std::vector<std::pair<std::string, llm::Price>> prices;
  audit::Wanted wanted;
};

// The exit status.
int run_audit(const AuditOptions& options, const config::Settings& settings);

// "gpt-x=2.5,10" or "…=IN,OUT,READ,WRITE,WRITE1H": USD per million tokens; what is left out costs as input. kInvalid
// says what is expected.
base::Result<std::pair<std::string, llm::Price>> parse_price(const std::string& text);

}  // namespace payonce
