/* The client against servers that do right, do wrong, do nothing, or are not there. */
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "payonce.h"
#include "script_server.h"

enum { kFrames = 0, kHttp = 1 };

static const char kLookup[] = "{\"kind\":\"plan\",\"parts\":{\"task\":\"x\"}}";
static const char kMiss[] = "{\"status\":\"miss\",\"ticket\":\"t-1\",\"key\":\"plan:v1:u-1:9\",\"reason\":\"cold\"}";
static const char kHit[] = "{\"status\":\"hit\",\"value\":{\"steps\":[1, 2.0]},\"key\":\"plan:v1:u-1:9\"}";

static double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* `bound_ms`: of every call; 0: as by default. */
static payonce_client* bounded_client_of(const script_server* server, const char* credential, int bound_ms) {
  payonce_options options = {0};
  options.credential = credential;
  options.socket = server->is_http ? "" : server->address;
  options.url = server->is_http ? server->address : NULL;
  options.lookup_ms = options.call_ms = bound_ms;
  return payonce_open(&options);
}

/* For what is not about the bound: the machine may be busy. */
static payonce_client* client_of(const script_server* server, const char* credential) {
  return bounded_client_of(server, credential, 30000);
}

static script_answer http(const char* text, int then_close) {
  const script_answer answer = {text, strlen(text), then_close};
  return answer;
}

static void every_call_over_frames(void) {
  const script_answer answers[] = {
      script_frame('K', "{\"status\":\"ok\"}"),
      script_frame('L', kMiss),
      script_frame('C', "{\"status\":\"stored\",\"entry\":\"e-1\",\"key\":\"k\"}"),
      script_frame('L', kHit),
      script_frame('A', "{\"status\":\"aborted\",\"entries\":0}"),
      script_frame('S', "{\"layers\":{}}"),
      script_frame('X', "{\"error\":{\"type\":\"t\",\"message\":\"no such\",\"status\":404}}")};
  script_server server;
  script_start(&server, kFrames, answers, 7);
  payonce_client* client = client_of(&server, "sk-\"1\"");

  payonce_result* found = payonce_lookup(client, kLookup);
  CHECK(payonce_result_status(found) == PAYONCE_MISS);
  CHECK_TEXT(payonce_result_ticket(found), "t-1");
  CHECK_TEXT(payonce_result_key(found), "plan:v1:u-1:9");
  CHECK(payonce_result_value(found) == NULL && payonce_result_error(found) == NULL);
  payonce_result* kept = payonce_commit_value(client, payonce_result_ticket(found), "{\"steps\":[1, 2.0]}");
  CHECK(payonce_result_status(kept) == PAYONCE_OK);
  payonce_result_free(kept);
  payonce_result_free(found);

  found = payonce_lookup(client, kLookup);
  CHECK(payonce_result_status(found) == PAYONCE_HIT);
  CHECK_TEXT(payonce_result_value(found), "{\"steps\":[1, 2.0]}");
  CHECK_TEXT(payonce_result_json(found), kHit);
  CHECK(payonce_result_ticket(found) == NULL);
  payonce_result_free(found);

  payonce_result* done = payonce_abort(client, "{\"ticket\":\"t-2\"}");
  CHECK(payonce_result_status(done) == PAYONCE_OK);
  payonce_result_free(done);
  done = payonce_stats(client);
  CHECK(payonce_result_status(done) == PAYONCE_OK);
  CHECK_TEXT(payonce_result_json(done), "{\"layers\":{}}");
  payonce_result_free(done);
  done = payonce_commit(client, "{\"ticket\":\"t-9\",\"value\":1,\"outcome\":\"success\"}");
  CHECK(payonce_result_status(done) == PAYONCE_ERROR);
  CHECK_TEXT(payonce_result_error(done), "no such");
  payonce_result_free(done);

  payonce_close(client);
  script_join(&server);
  CHECK(server.connections == 1);
  static const char kGreeting[] = "{\"credential\":\"sk-\\\"1\\\"\"}";
  CHECK(server.heard[0] == 'K' && server.heard[4] == (char)strlen(kGreeting));
  CHECK(memcmp(server.heard + 5, kGreeting, strlen(kGreeting)) == 0);
  const char* commit = "{\"ticket\":\"t-1\",\"outcome\":\"success\",\"value\":{\"steps\":[1, 2.0]}}";
  int found_commit = 0;
  for (size_t at = 0; at + strlen(commit) <= server.heard_size; at++)
    found_commit |= memcmp(server.heard + at, commit, strlen(commit)) == 0;
  CHECK(found_commit);
}

static void calls_over_http(void) {
  const script_answer answers[] = {
      http("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length: 15\r\n\r\n{\"status\":\"ok\"}", 0),
      http("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
           "10\r\n{\"status\":\"miss\"\r\n10;x=y\r\n,\"ticket\":\"t-7\"}\r\n0\r\n\r\n",
           0),
      http("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400 Bad Request\r\nContent-Length: 49\r\nConnection: close\r\n\r\n"
           "{\"error\":{\"type\":\"bad\",\"message\":\"unknown kind\"}}",
           1),
      http("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 0)};
  script_server server;
  script_start(&server, kHttp, answers, 4);
  payonce_client* client = client_of(&server, "sk-7");
  payonce_result* result = payonce_hint(client, "{\"session\":\"7\",\"event\":\"open\"}");
  CHECK(payonce_result_status(result) == PAYONCE_OK);
  payonce_result_free(result);
  result = payonce_lookup(client, kLookup);
  CHECK(payonce_result_status(result) == PAYONCE_MISS);
  CHECK_TEXT(payonce_result_ticket(result), "t-7");
  payonce_result_free(result);
  result = payonce_lookup(client, kLookup);
  CHECK(payonce_result_status(result) == PAYONCE_ERROR);
  CHECK_TEXT(payonce_result_error(result), "unknown kind");
  payonce_result_free(result);
  result = payonce_invalidate(client, "{\"kind\":\"plan\"}");
  CHECK(payonce_result_status(result) == PAYONCE_UNAVAILABLE);
  payonce_result_free(result);
  payonce_close(client);
  script_join(&server);
  CHECK(server.connections == 2);
  CHECK(strstr(server.heard, "POST /payonce/v1/hint HTTP/1.1\r\n") == server.heard);
  CHECK(strstr(server.heard, "Authorization: Bearer sk-7\r\n") != NULL);
}

/* Whatever a server says: never a hit, never a hang, never more than the bound. */
static void expect_unavailable(int is_http, const char* bytes, size_t size, int then_close) {
  const script_answer answers[] = {{bytes, size, then_close}};
  script_server server;
  script_start(&server, is_http, answers, 1);
  payonce_client* client = bounded_client_of(&server, "", 0);
  const double begin = now_ms();
  payonce_result* result = payonce_lookup(client, kLookup);
  const double took = now_ms() - begin;
  CHECK(payonce_result_status(result) == PAYONCE_UNAVAILABLE);
  CHECK(payonce_result_error(result) != NULL && payonce_result_value(result) == NULL);
  CHECK(took < 500);
  payonce_result_free(result);
  payonce_close(client);
  script_join(&server);
}

static void wrong_frames_are_no_answers(void) {
  static const struct {
    const char* bytes;
    size_t size;
  } kWrong[] = {{"", 0},                                    /* nothing */
                {"L", 1},                                   /* a verb alone */
                {"L\0\0\0\x0f{\"status\":\"o", 17},         /* cut in the body */
                {"L\xff\xff\xff\xff{}", 7},                 /* a length over the limit */
                {"L\x04\0\0\1{}", 7},                       /* just over it */
                {"L\x03\xff\xff\xff{}", 7},                 /* within it, and never coming */
                {"M\0\0\0\2{}", 7},                         /* another verb */
                {"L\0\0\0\0", 5},                           /* no body */
                {"L\0\0\0\2{}", 7},                         /* no status */
                {"L\0\0\0\2{}L\0\0\0\2{}", 14},             /* two answers to one call */
                {"L\0\0\0\4junk", 9},                       /* no JSON */
                {"L\0\0\0\x10{\"status\":\"hit\"}", 21},    /* a hit without a value */
                {"L\0\0\0\x11{\"status\":\"hits\"}", 22},   /* a status that is none */
                {"L\0\0\0\x12{\"status\":\"hit\",\"v", 23}, /* cut JSON */
                {"HTTP/1.1 400 Bad Request\r\n\r\n", 28},   /* another protocol */
                {"K\0\0\0\2{}", 7}};                        /* an answer to what was not asked */
  for (size_t i = 0; i < sizeof kWrong / sizeof *kWrong; i++)
    for (int then_close = 0; then_close < 2; then_close++)
      if (kWrong[i].size > 0 || then_close) expect_unavailable(kFrames, kWrong[i].bytes, kWrong[i].size, then_close);
}

static void wrong_http_is_no_answer(void) {
  static const char* const kWrong[] = {
      "junk\r\n\r\n",
      "HTTP/1.1 200 OK\r\n\r\n{\"status\":\"ok\"}",
      "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
      "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{}",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n{}",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}xx0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"status\":\"hit\",\"value\":1}",
      "HTTP/1.1 2x0 OK\r\nContent-Length: 2\r\n\r\n{}",
      "HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 2\r\n\r\n{}",
      "\n\n\n\n\r\n\r\n"};
  for (size_t i = 0; i < sizeof kWrong / sizeof *kWrong; i++)
    for (int then_close = 0; then_close < 2; then_close++)
      expect_unavailable(kHttp, kWrong[i], strlen(kWrong[i]), then_close);
}

static void a_credential_that_is_refused_stops_the_call(void) {
  const script_answer answers[] = {
      script_frame('X', "{\"error\":{\"type\":\"t\",\"message\":\"no\",\"status\":401}}"), script_frame('L', kHit)};
  script_server server;
  script_start(&server, kFrames, answers, 2);
  payonce_client* client = client_of(&server, "sk-1");
  payonce_result* result = payonce_lookup(client, kLookup);
  CHECK(payonce_result_status(result) == PAYONCE_UNAVAILABLE);
  payonce_result_free(result);
  payonce_close(client);
  script_join(&server);
}

static void silence_ends_after_the_bound_and_then_nothing_is_tried(void) {
  static const script_answer kSilence[] = {{NULL, 0, 0}, {NULL, 0, 0}, {NULL, 0, 0}};
  for (int is_http = 0; is_http < 2; is_http++) {
    script_server server;
    script_start(&server, is_http, kSilence, 3);
    payonce_client* client = bounded_client_of(&server, "", 0);
    for (int i = 0; i < 3; i++) {
      const double begin = now_ms();
      payonce_result* result = payonce_lookup(client, kLookup);
      const double took = now_ms() - begin;
      CHECK(payonce_result_status(result) == PAYONCE_UNAVAILABLE);
      CHECK(took >= 45 && took < 500);
      payonce_result_free(result);
    }
    script_join(&server);
    payonce_result* result = payonce_lookup(client, kLookup);
    CHECK_TEXT(payonce_result_error(result), "no Payonce answered there a moment ago");
    payonce_result_free(result);
    payonce_close(client);
  }
}

static void a_lookup_that_waits_has_a_longer_bound(void) {
  static const script_answer kSilence[] = {{NULL, 0, 0}};
  script_server server;
  script_start(&server, kFrames, kSilence, 1);
  payonce_client* client = bounded_client_of(&server, "", 0);
  const double begin = now_ms();
  payonce_result_free(payonce_lookup(client, "{\"kind\":\"plan\",\"parts\":{},\"wait\":0.2}"));
  CHECK(now_ms() - begin >= 245);
  payonce_close(client);
  script_join(&server);
}

static void without_a_server_a_call_costs_next_to_nothing(void) {
  static const char* const kAddresses[][2] = {{"/tmp/payonce-no-such.sock", NULL}, {"", "http://127.0.0.1:1"}};
  for (size_t i = 0; i < 2; i++) {
    payonce_options options = {0};
    options.socket = kAddresses[i][0];
    options.url = kAddresses[i][1];
    payonce_client* client = payonce_open(&options);
    double quickest = 1e9;
    for (int run = 0; run < 5; run++) { /* the machine may be busy */
      const double begin = now_ms();
      payonce_result* result = payonce_lookup(client, kLookup);
      const double took = now_ms() - begin;
      if (took < quickest) quickest = took;
      CHECK(payonce_result_status(result) == PAYONCE_UNAVAILABLE && payonce_result_ticket(result) == NULL);
      payonce_result_free(result);
      if (run == 0) payonce_close(client), client = payonce_open(&options); /* so that it tries once more */
    }
    CHECK(quickest < 1);
    const double begin = now_ms();
    for (int call = 0; call < 1000; call++) payonce_result_free(payonce_lookup(client, kLookup));
    CHECK(now_ms() - begin < 1000); /* a connection each would take longer */
    payonce_close(client);
  }
}

static void a_connection_that_was_closed_is_replaced(void) {
  script_answer answers[] = {script_frame('L', kHit), script_frame('L', kHit)};
  answers[0].then_close = 1;
  script_server server;
  script_start(&server, kFrames, answers, 2);
  payonce_client* client = client_of(&server, "");
  for (int i = 0; i < 2; i++) {
    payonce_result* result = payonce_lookup(client, kLookup);
    CHECK(payonce_result_status(result) == PAYONCE_HIT);
    payonce_result_free(result);
    usleep(20000); /* the close arrives */
  }
  payonce_close(client);
  script_join(&server);
  CHECK(server.connections == 2);
}

static void wrong_settings_say_what_is_wrong(void) {
  static const struct {
    const char* url;
    const char* named;
  } kWrong[] = {{"https://127.0.0.1:4141", "http://"},
                {"http://10.0.0.1:4141", "loopback"},
                {"http://example.test:4141", "loopback"},
                {"http://127.0.0.1:70000", "port"},
                {"http://127.0.0.1:", "port"},
                {"http://127.0.0.1:41x", "port"},
                {"http://127.0.0.1:4141/v1", "end after"},
                {"http://[::1", "]"},
                {"http://[fe80::1]:4141", "loopback"},
                {"http://", "loopback"},
                {"http://127.0.0.1@10.0.0.1:80", "loopback"}};
  for (size_t i = 0; i < sizeof kWrong / sizeof *kWrong; i++) {
    payonce_options options = {0};
    options.socket = "";
    options.url = kWrong[i].url;
    payonce_client* client = payonce_open(&options);
    payonce_result* result = payonce_lookup(client, kLookup);
    CHECK(payonce_result_status(result) == PAYONCE_UNAVAILABLE);
    CHECK(strstr(payonce_result_error(result), kWrong[i].named) != NULL);
    payonce_result_free(result);
    payonce_close(client);
  }
  payonce_options options = {0};
  options.credential = "sk-1\r\nX-Payonce-Scope: public";
  payonce_client* client = payonce_open(&options);
  payonce_result* result = payonce_lookup(client, kLookup);
  CHECK(strstr(payonce_result_error(result), "control character") != NULL);
  payonce_result_free(result);
  payonce_close(client);
}

static void null_is_an_instance_that_is_not_there(void) {
  payonce_result* result = payonce_lookup(NULL, kLookup);
  CHECK(payonce_result_status(result) == PAYONCE_UNAVAILABLE);
  payonce_result_free(result);
  CHECK(payonce_result_status(NULL) == PAYONCE_UNAVAILABLE && payonce_result_value(NULL) == NULL);
  payonce_result_free(NULL);
  payonce_close(NULL);
  CHECK_TEXT(payonce_status_name(PAYONCE_STALE), "stale");
}

static void a_child_opens_connections_of_its_own(void) {
  const script_answer answers[] = {script_frame('L', kHit), script_frame('L', kMiss)};
  script_server server;
  script_start(&server, kFrames, answers, 2);
  payonce_client* client = bounded_client_of(&server, "", 1000);
  payonce_result_free(payonce_lookup(client, kLookup));
  const pid_t child = fork();
  if (child == 0) {
    /* The server serves one connection at a time, and the parent's is still open: the child waits for nothing. */
    payonce_result* result = payonce_lookup(client, kLookup);
    _exit(payonce_result_status(result) == PAYONCE_UNAVAILABLE ? 0 : 1);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  payonce_result* result = payonce_lookup(client, kLookup); /* and the parent's answer is the parent's */
  CHECK(payonce_result_status(result) == PAYONCE_MISS);
  payonce_result_free(result);
  payonce_close(client);
  script_join(&server);
  CHECK(server.connections == 1);
}

int main(void) {
  unsetenv("PAYONCE_SOCKET");
  unsetenv("PAYONCE_URL");
  unsetenv("PAYONCE_API_KEY");
  unsetenv("PAYONCE_TIMEOUT_MS");
  every_call_over_frames();
  calls_over_http();
  wrong_frames_are_no_answers();
  wrong_http_is_no_answer();
  a_credential_that_is_refused_stops_the_call();
  silence_ends_after_the_bound_and_then_nothing_is_tried();
  a_lookup_that_waits_has_a_longer_bound();
  without_a_server_a_call_costs_next_to_nothing();
  a_connection_that_was_closed_is_replaced();
  wrong_settings_say_what_is_wrong();
  null_is_an_instance_that_is_not_there();
  a_child_opens_connections_of_its_own();
  return 0;
}
