// Hands finished requests to the recorder, when there is one and it is on: of known dialects, with a body that is a
// JSON object and was read.  Threads: all any.
#pragma once

#include <memory>

#include "base/clock.h"
#include "cache/exact/flight.h"
#include "gateway/observer.h"
#include "net/server.h"
#include "record/recorder.h"

namespace payonce::gateway {

class Capture {
 public:
  Capture(const base::Clock& clock, record::Recorder* recorder) : clock_(clock), recorder_(recorder) {}

  // Begun when the request's head and body are still there; null: it is not recorded.
  using Begun = std::shared_ptr<record::Exchange>;
  Begun begin(const net::Exchange& exchange, const pipeline::Prepared* prepared) const;
  // A cache answered.
  void answered(const Begun& begun, const RequestInfo& info, const pipeline::Answer& answer, int status) const;
  // It went upstream. `cache` is static text.
  void forwarded(const Begun& begun, const RequestInfo& info, const Timing& timing,
                 const std::shared_ptr<cache::Flight>& flight, std::string_view cache, int status) const;

 private:
  void add(const Begun& begun, const RequestInfo& info, int64_t first_byte_us) const;

  const base::Clock& clock_;
  record::Recorder* const recorder_;  // null: none
};

}  // namespace payonce::gateway
