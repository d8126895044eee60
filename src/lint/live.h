// The findings of a running instance (`GET /payonce/v1/breakers`) as those of a log.  Threads: pure functions.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "lint/run.h"

namespace payonce::lint {

struct Live {
  std::unique_ptr<const std::string> name;  // of the instance, which stands for a file; its findings point to it
  Input input;                              // nothing: there are no excerpts
  Result result;
};

// `name`: of the instance. kCorrupt: not such an answer. Kinds that this version does not know are left out.
base::Result<Live> read_live(std::string_view answer, std::string name, const std::vector<prefix::Kind>& kinds);

}  // namespace payonce::lint
