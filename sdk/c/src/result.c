#include "result.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

static char kNoMemoryText[] = "memory is out";
static payonce_result kNoMemory = {PAYONCE_UNAVAILABLE, NULL, NULL, NULL, NULL, kNoMemoryText};

payonce_result* pc_unavailable(const char* why) {
  payonce_result* result = calloc(1, sizeof *result);
  if (result == NULL) return &kNoMemory;
  result->status = PAYONCE_UNAVAILABLE;
  result->error = pc_copy(why, strlen(why));
  return result;
}

/* A member that is a string, as text; NULL: there is none. */
static char* text_member(const pc_answer* in, const char* name) {
  pc_span value;
  return pc_json_member(in->body, in->size, name, &value) == 0 ? pc_json_text(value) : NULL;
}

static payonce_status status_named(char verb, const char* name) {
  static const struct {
    char verb;
    const char* name;
    payonce_status status;
  } kKnown[] = {{'L', "hit", PAYONCE_HIT},         {'L', "miss", PAYONCE_MISS},
                {'L', "stale", PAYONCE_STALE},     {'C', "stored", PAYONCE_OK},
                {'C', "dropped", PAYONCE_DROPPED}, {'A', "aborted", PAYONCE_OK},
                {'I', "ok", PAYONCE_OK},           {'H', "ok", PAYONCE_OK}};
  for (size_t i = 0; i < sizeof kKnown / sizeof *kKnown; i++)
    if (kKnown[i].verb == verb && strcmp(kKnown[i].name, name) == 0) return kKnown[i].status;
  return PAYONCE_UNAVAILABLE;
}

/* {"error":{"type","message","status"?}}: a fault of the call below 500, of the instance from there on. */
static void read_error(payonce_result* result, const pc_answer* answer) {
  pc_span error, code;
  pc_answer inner = *answer;
  int status = answer->http_code;
  if (pc_json_member(answer->body, answer->size, "error", &error) == 0 && error.at != NULL) {
    inner.body = error.at;
    inner.size = error.size;
    result->error = text_member(&inner, "message");
    if (pc_json_member(error.at, error.size, "status", &code) == 0 && code.at != NULL && code.size == 3)
      status = atoi(code.at);
  }
  result->status = status >= 500 ? PAYONCE_UNAVAILABLE : PAYONCE_ERROR;
  if (result->error != NULL) return;
  char text[64];
  (void)snprintf(text, sizeof text, "the instance answered with an error (status %d)", status);
  result->error = pc_copy(text, strlen(text));
}

payonce_result* pc_read_answer(char verb, const pc_answer* answer) {
  pc_span value;
  payonce_result* result = calloc(1, sizeof *result);
  if (result == NULL) return &kNoMemory;
  result->json = pc_copy(answer->body, answer->size);
  if (result->json == NULL) {
    free(result);
    return &kNoMemory;
  }
  if (answer->is_error) {
    read_error(result, answer);
    return result;
  }
  if (pc_json_member(answer->body, answer->size, "value", &value) != 0) {
    result->status = PAYONCE_UNAVAILABLE;
    result->error = pc_copy("the answer is no JSON object", 28);
    return result;
  }
  char* status = text_member(answer, "status");
  result->status = verb == 'S' ? PAYONCE_OK : status != NULL ? status_named(verb, status) : PAYONCE_UNAVAILABLE;
  free(status);
  if (result->status == PAYONCE_HIT && value.at != NULL) result->value = pc_copy(value.at, value.size);
  if (result->status == PAYONCE_HIT && result->value == NULL) result->status = PAYONCE_UNAVAILABLE;
  if (result->status == PAYONCE_UNAVAILABLE) {
    result->error = pc_copy("the answer has no status that this version knows, or no value", 61);
    return result;
  }
  result->ticket = text_member(answer, "ticket");
  result->key = text_member(answer, "key");
  return result;
}

payonce_status payonce_result_status(const payonce_result* result) {
  return result == NULL ? PAYONCE_UNAVAILABLE : result->status;
}
const char* payonce_result_value(const payonce_result* result) { return result == NULL ? NULL : result->value; }
const char* payonce_result_ticket(const payonce_result* result) { return result == NULL ? NULL : result->ticket; }
const char* payonce_result_key(const payonce_result* result) { return result == NULL ? NULL : result->key; }
const char* payonce_result_json(const payonce_result* result) { return result == NULL ? NULL : result->json; }
const char* payonce_result_error(const payonce_result* result) {
  return result == NULL ? "there is no result" : result->error;
}

void payonce_result_free(payonce_result* result) {
  if (result == NULL || result == &kNoMemory) return;
  free(result->json);
  free(result->value);
  free(result->ticket);
  free(result->key);
  free(result->error);
  free(result);
}

const char* payonce_status_name(payonce_status status) {
  static const char* const kNames[] = {"hit", "miss", "stale", "ok", "dropped", "error", "unavailable"};
  return status >= PAYONCE_HIT && status <= PAYONCE_UNAVAILABLE ? kNames[status] : "unknown";
}
