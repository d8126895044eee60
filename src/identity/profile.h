// Agent profiles: which parts of an agent's requests are envelope and do not reach the model. Each is a data file
// (profiles/*.toml, embedded at build) with a version of its own.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/headers.h"

namespace payonce::identity {

// Place of a value in a request: member names, and "[]" for any element. "messages[].content[].cache_control".
using Path = std::vector<std::string>;
base::Result<Path> parse_path(std::string_view text);

// What a profile says; rules come from captures of the agent, each with its reason in the data file.
struct Profile {
  struct Match {  // without case; one of the two is set
    std::string header;
    std::string contains;
    std::string equals;
  };
  // In tool output at `path`: the run of `characters` that follows `after` at the start of a line. In messages[] it
  // holds only where the role is "tool": what a person writes is never masked. A tool's output may quote anything, so
  // the other fields say where the agent itself writes.
  struct Mask {
    Path path;
    std::string after;
    std::string characters;
    std::string begins;               // the whole text begins so
    std::string ahead_of;             // not from the first line on that begins so; empty: anywhere
    std::optional<std::string> ends;  // what follows the run, to the end of the text
    bool anywhere = false;            // `after` need not begin a line
  };
  std::string name;
  int version = 0;
  std::vector<Match> matches;  // any
  std::vector<Path> ignore;
  std::vector<Mask> masks;
};

// All profiles. Threads: read-only after load.
class Profiles {
 public:
  static base::Result<Profiles> built_in();
  // By User-Agent, x-app, originator; the generic profile when none matches.
  const Profile& match(const net::Headers& headers) const;
  const Profile& generic() const { return *generic_; }  // its rules hold for every request
  const Profile* find(std::string_view name) const;
  std::vector<std::string> names() const;

 private:
  std::shared_ptr<const Profile> generic_;
  std::vector<std::shared_ptr<const Profile>> agents_;
};

}  // namespace payonce::identity
