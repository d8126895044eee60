// What lies in a data directory before it is opened: sealed under which keys, or not at all. Nothing is changed until
// all of it can be read: a wrong key costs no byte. Then whatever is not sealed under the first key is written
// anew under it, a file at a time, each by one rename: an interrupted run goes on where it was.
// Threads: one, before the stores open.  Errors: kForbidden: a key is missing; kUnavailable: files, or another
// process in the directory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/metrics.h"
#include "seal/keys.h"

namespace payonce::seal {

// Which files of a data directory are sealed. Others are not touched.
struct Places {
  struct Folder {
    std::string name, extension;  // of numbered files (base/numbered_file.h)
  };
  std::vector<std::string> files;
  std::vector<Folder> folders;
};

struct Survey {
  std::vector<std::string> plain;       // names below the root; so the next
  std::vector<std::string> other_key;   // sealed under another of the keys than the first
  std::vector<std::string> unfinished;  // left by a crash before their rename
  uint64_t sealed = 0;                  // files under the first key
  uint64_t bytes = 0;                   // of those that are to be sealed
};

// Looks only. kForbidden as well when `protection` refuses plain files and there are some.
base::Result<Survey> survey(base::Env& env, const std::string& root, const Places& places,
                            const Protection& protection);

// Seals what the survey found. Says in the log how far it is.
base::Status reseal(base::Env& env, const std::string& root, const Survey& survey, const KeysPtr& keys,
                    base::Metrics& metrics);

}  // namespace payonce::seal
