/* What a call came to.  Threads: one at a time. */
#ifndef PAYONCE_RESULT_H
#define PAYONCE_RESULT_H

#include "connection.h"
#include "payonce.h"

struct payonce_result {
  payonce_status status;
  char* json;
  char* value;
  char* ticket;
  char* key;
  char* error;
};

/* Both: the caller's; when memory is out, one that nobody needs to free. */
payonce_result* pc_unavailable(const char* why);
/* PAYONCE_UNAVAILABLE when the answer cannot be read. `verb`: which call it answers. */
payonce_result* pc_read_answer(char verb, const pc_answer* answer);

#endif
