// For tests only: the same hash in every run.
#pragma once

#include "base/hash.h"

namespace payonce::prefix {

inline const base::KeyedHash kHash("test");

}  // namespace payonce::prefix
