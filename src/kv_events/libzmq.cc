#include "kv_events/libzmq.h"

namespace payonce::kv_events {

const Libzmq& libzmq() {
  static const Libzmq loaded;
  return loaded;
}

}  // namespace payonce::kv_events
