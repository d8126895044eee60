// Stage 1: who asks, and what exactly. Raw bytes → canonical key, with the L0 map in front: a byte-equal repeat (the
// usual hit) costs one keyed XXH3 instead of parsing, canonicalising and SHA-256 (design §2); what a known sender's
// fields say is found in the same way. Threads: any.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "base/raw_key_map.h"
#include "identity/part_digests.h"
#include "identity/profile.h"
#include "pipeline/decision.h"
#include "pipeline/policy.h"

namespace payonce::pipeline {

class Identifier {
 public:
  Identifier(identity::Profiles profiles, size_t raw_key_capacity);

  // kInvalid (malformed body or header), kUnauthorized. The result is shared and immutable.
  base::Result<PreparedPtr> identify(const Incoming& incoming, const Policy& policy);

  // What may be compared in meaning: the last user turn, and the key of everything around it. Nothing for requests
  // that have no such turn. `incoming` has been identified under `policy`.
  struct Asked {
    std::string context, question;
  };
  std::optional<Asked> asked(const Incoming& incoming, const Policy& policy) const;

 private:
  struct Sender;
  struct Read;
  // `fields`: those of the request that tell something, as one text.
  base::Result<std::shared_ptr<const Sender>> sender(const net::Headers& headers, const Policy& policy,
                                                     std::string_view fields) const;
  base::Result<Read> read(const Incoming& incoming, const Policy& policy, std::string_view fields) const;
  base::Result<PreparedPtr> prepare(const Incoming& incoming, const Policy& policy, std::string_view fields) const;

  const identity::Profiles profiles_;
  const base::KeyedHash keyed_hash_;
  base::RawKeyMap<Prepared> raw_keys_;
  mutable base::RawKeyMap<Sender> senders_;
  mutable identity::PartDigests part_digests_;
};

}  // namespace payonce::pipeline
