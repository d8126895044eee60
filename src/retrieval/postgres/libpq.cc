#include "retrieval/postgres/libpq.h"

namespace payonce::retrieval {

const Libpq& libpq() {
  static const Libpq loaded;
  return loaded;
}

}  // namespace payonce::retrieval
