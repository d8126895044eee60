// Bodies and frames of the agent API, and entries as the store holds them: read or refused, never more; what is read
// has one key, and frames come out as they went in.
#include <string>

#include "agent/api/calls.h"
#include "agent/api/frame.h"
#include "agent/entry.h"
#include "agent/intent.h"
#include "agent/workspace/secrets.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace payonce;
  const std::string_view bytes = fuzz::text(data, size);
  identity::PartDigests known;
  if (const auto lookup = agent::read_lookup(bytes, known)) {
    const auto again = agent::read_lookup(bytes, known);  // parts are known now
    PAYONCE_FUZZ_CHECK(again.has_value());
    PAYONCE_FUZZ_CHECK(agent::key_of(*lookup->question, "u-1") == agent::key_of(*again->question, "u-1"));
    PAYONCE_FUZZ_CHECK(agent::key_of(*lookup->question, "u-1") != agent::key_of(*lookup->question, "u-2"));
  }
  (void)agent::read_commit(bytes);
  (void)agent::read_abort(bytes);
  (void)agent::read_invalidate(bytes);
  (void)agent::read_hint(bytes);
  (void)agent::read_feedback(bytes);
  const std::string intent = agent::intent_of(bytes);
  PAYONCE_FUZZ_CHECK(agent::intent_of(intent) == intent);
  (void)agent::holds_secret(bytes);
  (void)agent::is_secret_path(bytes);

  agent::FrameReader reader;
  reader.add(agent::frame_bytes('L', bytes));
  const auto frame = reader.next();
  PAYONCE_FUZZ_CHECK(frame && *frame && (*frame)->body == bytes && (*frame)->verb == 'L');
  agent::FrameReader raw;
  raw.add(bytes);
  for (auto next = raw.next(); next && *next; next = raw.next()) {
  }

  cache::Entry stored;
  stored.key = "plan:v1:u-1:00";
  stored.body = base::Bytes::copy(bytes);
  (void)agent::read_entry(stored);
  return 0;
}
