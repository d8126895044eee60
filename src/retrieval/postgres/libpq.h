// What we use of PostgreSQL's client library, which is loaded for the first search.
#pragma once

#include <libpq-fe.h>

#include "base/shared_library.h"

namespace payonce::retrieval {

struct Libpq {
  base::SharedLibrary library{PAYONCE_LIBPQ_LIBRARY};
  decltype(&PQconnectdbParams) connect = library.find("PQconnectdbParams");
  decltype(&PQstatus) status = library.find("PQstatus");
  decltype(&PQerrorMessage) error_message = library.find("PQerrorMessage");
  decltype(&PQfinish) finish = library.find("PQfinish");
  decltype(&PQexecParams) exec = library.find("PQexecParams");
  decltype(&PQresultStatus) result_status = library.find("PQresultStatus");
  decltype(&PQresultErrorField) result_error_field = library.find("PQresultErrorField");
  decltype(&PQntuples) rows = library.find("PQntuples");
  decltype(&PQgetvalue) value = library.find("PQgetvalue");
  decltype(&PQgetlength) length = library.find("PQgetlength");
  decltype(&PQclear) clear = library.find("PQclear");
};

// Loaded by the first call. Its functions are there if `library` has no fault.
inline const Libpq& libpq() {
  static const Libpq loaded;
  return loaded;
}

}  // namespace payonce::retrieval
