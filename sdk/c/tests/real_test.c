/* The client against the real program, over its socket and over HTTP; run_real.sh starts it. */
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "payonce.h"

/* In a child of a process with threads, AddressSanitizer's allocator may stay locked for ever, and ThreadSanitizer
 * complains of lost threads. */
#ifdef __has_feature /* clang's way to say it */
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(SANITIZED) || defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { kForks = 0 };
#else
enum { kForks = 8 };
#endif
enum { kThreads = 16, kCalls = 50 };

static payonce_client* open_client(int over_http, const char* credential) {
  payonce_options options = {0};
  options.socket = over_http ? "" : NULL;
  options.credential = credential;
  options.lookup_ms = 2000; /* what is tested here is not the bound, and the machine may be busy */
  options.call_ms = 5000;
  return payonce_open(&options);
}

static payonce_status status_of(payonce_result* result) {
  const payonce_status status = payonce_result_status(result);
  if (payonce_result_error(result) != NULL) (void)fprintf(stderr, "note: %s\n", payonce_result_error(result));
  payonce_result_free(result);
  return status;
}

static void a_value_goes_in_and_comes_out(payonce_client* client, payonce_client* other, const char* task) {
  static const char kValue[] = "{\"steps\":[\"read\",\"\\u00e9\\ud83d\\ude00\"],\"n\":1.5e3}";
  char lookup[256], body[512];
  (void)snprintf(lookup, sizeof lookup,
                 "{\"kind\":\"plan\",\"parts\":{\"task\":\"%s\"},\"versions\":{\"tools\":\"v3\"},\"semantic\":false}",
                 task);
  payonce_result* found = payonce_lookup(client, lookup);
  CHECK(payonce_result_status(found) == PAYONCE_MISS);
  CHECK(payonce_result_ticket(found) != NULL && strncmp(payonce_result_key(found), "plan:v1:", 8) == 0);
  CHECK(status_of(payonce_commit_value(client, payonce_result_ticket(found), kValue)) == PAYONCE_OK);
  CHECK(status_of(payonce_commit_value(client, payonce_result_ticket(found), kValue)) == PAYONCE_ERROR); /* used */
  payonce_result_free(found);

  found = payonce_lookup(client, lookup);
  CHECK(payonce_result_status(found) == PAYONCE_HIT && payonce_result_ticket(found) == NULL);
  CHECK(strstr(payonce_result_value(found), "\"read\"") != NULL);
  payonce_result_free(found);
  found = payonce_lookup(other, lookup); /* another credential */
  CHECK(payonce_result_status(found) == PAYONCE_MISS);
  (void)snprintf(body, sizeof body, "{\"ticket\":\"%s\"}", payonce_result_ticket(found));
  CHECK(status_of(payonce_abort(other, body)) == PAYONCE_OK);
  payonce_result_free(found);

  CHECK(status_of(payonce_invalidate(client, "{\"version\":\"tools=v3\"}")) == PAYONCE_OK);
  found = payonce_lookup(client, lookup);
  CHECK(payonce_result_status(found) == PAYONCE_MISS);
  (void)snprintf(body, sizeof body, "{\"ticket\":\"%s\",\"outcome\":\"failure\",\"value\":1}",
                 payonce_result_ticket(found));
  CHECK(status_of(payonce_commit(client, body)) == PAYONCE_DROPPED);
  payonce_result_free(found);
}

static void a_file_that_changes_makes_stale(payonce_client* client) {
  char path[] = "/tmp/payonce-client-XXXXXX", lookup[256];
  const int fd = mkstemp(path);
  CHECK(fd >= 0 && write(fd, "1", 1) == 1);
  (void)snprintf(
      lookup, sizeof lookup,
      "{\"kind\":\"tool_result\",\"parts\":{\"read\":\"%s\"},\"deps\":[{\"type\":\"file\",\"path\":\"%s\"}]}", path,
      path);
  payonce_result* found = payonce_lookup(client, lookup);
  CHECK(status_of(payonce_commit_value(client, payonce_result_ticket(found), "\"1\"")) == PAYONCE_OK);
  payonce_result_free(found);
  CHECK(status_of(payonce_lookup(client, lookup)) == PAYONCE_HIT);
  CHECK(pwrite(fd, "2", 1, 0) == 1);
  found = payonce_lookup(client, lookup);
  CHECK(payonce_result_status(found) == PAYONCE_STALE && payonce_result_value(found) == NULL);
  payonce_result_free(found);
  close(fd);
  (void)unlink(path);
}

static void what_is_wrong_is_said(payonce_client* client) {
  static const char* const kWrong[] = {"{\"kind\":\"dream\",\"parts\":{}}",
                                       "{\"kind\":\"plan\"}",
                                       "junk",
                                       "[]",
                                       "",
                                       "{\"kind\":\"plan\",\"parts\":{},\"colour\":1}"};
  for (size_t i = 0; i < sizeof kWrong / sizeof *kWrong; i++) {
    payonce_result* result = payonce_lookup(client, kWrong[i]);
    CHECK(payonce_result_status(result) == PAYONCE_ERROR);
    CHECK(payonce_result_error(result) != NULL);
    payonce_result_free(result);
  }
  CHECK(status_of(payonce_hint(client, "{\"session\":\"7\",\"event\":\"open\"}")) == PAYONCE_OK);
  payonce_result* stats = payonce_stats(client);
  CHECK(payonce_result_status(stats) == PAYONCE_OK && strstr(payonce_result_json(stats), "\"layers\"") != NULL);
  payonce_result_free(stats);
}

static void* call_often(void* argument) {
  payonce_client* client = argument;
  for (int call = 0; call < kCalls; call++) {
    char lookup[128], value[32];
    (void)snprintf(lookup, sizeof lookup, "{\"kind\":\"tool_result\",\"parts\":{\"thread\":\"%d\"}}", call % 7);
    (void)snprintf(value, sizeof value, "\"%d\"", call % 7);
    payonce_result* found = payonce_lookup(client, lookup);
    const payonce_status status = payonce_result_status(found);
    CHECK(status == PAYONCE_HIT || status == PAYONCE_MISS);
    if (status == PAYONCE_HIT) CHECK_TEXT(payonce_result_value(found), value); /* its own answer, not another's */
    if (payonce_result_ticket(found) != NULL)
      CHECK(status_of(payonce_commit_value(client, payonce_result_ticket(found), value)) == PAYONCE_OK);
    payonce_result_free(found);
  }
  return NULL;
}

static void many_threads_and_forks_share_a_client(payonce_client* client) {
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; i++) CHECK(pthread_create(&threads[i], NULL, call_often, client) == 0);
  for (int i = 0; i < kForks; i++) { /* while they are in the middle of it */
    const pid_t child = fork();
    if (child == 0) {
      (void)alarm(20);
      (void)call_often(client);
      _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  for (int i = 0; i < kThreads; i++) CHECK(pthread_join(threads[i], NULL) == 0);
}

static void tell_how_quick_a_hit_is(payonce_client* client) {
  enum { kMeasured = 2000 };
  static double took_us[kMeasured];
  static const char kLookup[] = "{\"kind\":\"tool_result\",\"parts\":{\"measured\":1}}";
  payonce_result* found = payonce_lookup(client, kLookup);
  if (payonce_result_ticket(found) != NULL)
    CHECK(status_of(payonce_commit_value(client, payonce_result_ticket(found), "1")) == PAYONCE_OK);
  payonce_result_free(found);
  for (int i = 0; i < kMeasured; i++) {
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    payonce_result_free(payonce_lookup(client, kLookup));
    clock_gettime(CLOCK_MONOTONIC, &end);
    took_us[i] = (double)(end.tv_sec - begin.tv_sec) * 1e6 + (double)(end.tv_nsec - begin.tv_nsec) / 1e3;
  }
  for (int i = 1; i < kMeasured; i++) /* sorted by insertion: small and nearly sorted */
    for (int at = i; at > 0 && took_us[at - 1] > took_us[at]; at--) {
      const double other = took_us[at];
      took_us[at] = took_us[at - 1];
      took_us[at - 1] = other;
    }
  printf("hit: p50 %.0f us, p99 %.0f us\n", took_us[kMeasured / 2], took_us[kMeasured * 99 / 100]);
}

int main(void) {
  for (int over_http = 0; over_http < 2; over_http++) {
    payonce_client* client = open_client(over_http, over_http ? "sk-http" : "sk-ann");
    payonce_client* other = open_client(over_http, "sk-ben");
    a_value_goes_in_and_comes_out(client, other, over_http ? "over HTTP" : "over the socket");
    a_file_that_changes_makes_stale(client);
    what_is_wrong_is_said(client);
    many_threads_and_forks_share_a_client(client);
    tell_how_quick_a_hit_is(client);
    payonce_close(client);
    payonce_close(other);
  }
  return 0;
}
