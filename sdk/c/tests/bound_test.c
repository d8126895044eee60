/* The bound of a lookup: the option, else the variable, else the default. */
#include <time.h>

#include "check.h"
#include "payonce.h"
#include "script_server.h"
#include "where.h"

static const char kLookup[] = "{\"kind\":\"plan\",\"parts\":{\"task\":\"x\"}}";

static void tell(const char* variable) {
  if (variable == NULL) {
    unsetenv("PAYONCE_TIMEOUT_MS");
  } else {
    setenv("PAYONCE_TIMEOUT_MS", variable, 1);
  }
}

/* What is wrong; NULL: the bound stands in `ms`. */
static const char* read_bound(int option, const char* variable, int64_t* ms) {
  payonce_options options = {0};
  pc_where where;
  options.lookup_ms = option;
  tell(variable);
  CHECK(pc_find_where(&options, &where) == 0);
  pc_forget_where(&where);
  *ms = where.lookup_ms;
  return where.wrong;
}

static void the_variable_is_the_bound_unless_the_option_is(void) {
  static const struct {
    const char* told;
    int64_t ms;
  } kRight[] = {{NULL, 50},
                {"", 50},
                {"1", 1},
                {"30000", 30000},
                {"007", 7},
                {"12.0", 12},
                {"12.001", 13}, /* no shorter than was asked for */
                {"0.1", 1},
                {"86400000.5", 86400000}, /* a day is as good as for ever */
                {"99999999999999999999", 86400000}};
  int64_t ms = 0;
  for (size_t i = 0; i < sizeof kRight / sizeof *kRight; i++) {
    CHECK(read_bound(0, kRight[i].told, &ms) == NULL && ms == kRight[i].ms);
    CHECK(read_bound(2000, kRight[i].told, &ms) == NULL && ms == 2000);
  }
}

static void what_is_no_positive_number_is_told(void) {
  char endless[401]; /* digits of what no double holds */
  memset(endless, '9', sizeof endless - 1);
  endless[sizeof endless - 1] = '\0';
  const char* const wrong[] = {"soon", "0",   "0.0", "-5", "+5", "nan", "inf",   "1e3",  "0x10",
                               " 50",  "50 ", "5.",  ".5", ".",  "5,5", "5.5.5", "50ms", endless};
  int64_t ms = 0;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    const char* said = read_bound(0, wrong[i], &ms);
    CHECK(said != NULL && strstr(said, "PAYONCE_TIMEOUT_MS is no positive number") != NULL);
    CHECK(read_bound(2000, wrong[i], &ms) == NULL && ms == 2000); /* it is not looked at */
  }
  tell("soon");
  payonce_client* client = payonce_open(NULL);
  payonce_result* result = payonce_lookup(client, kLookup);
  CHECK(payonce_result_status(result) == PAYONCE_UNAVAILABLE);
  CHECK(strstr(payonce_result_error(result), "PAYONCE_TIMEOUT_MS") != NULL);
  payonce_result_free(result);
  payonce_close(client);
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void a_lookup_ends_after_the_variables_bound(void) {
  static const script_answer kSilence[] = {{NULL, 0, 0}};
  script_server server;
  script_start(&server, 0, kSilence, 1);
  payonce_options options = {0};
  options.socket = server.address;
  tell("120");
  payonce_client* client = payonce_open(&options);
  const int64_t begin = now_ms();
  payonce_result* result = payonce_lookup(client, kLookup);
  CHECK(now_ms() - begin >= 115);
  CHECK_TEXT(payonce_result_error(result), "no answer in time");
  payonce_result_free(result);
  payonce_close(client);
  script_join(&server);
}

int main(void) {
  unsetenv("PAYONCE_SOCKET");
  unsetenv("PAYONCE_URL");
  unsetenv("PAYONCE_API_KEY");
  the_variable_is_the_bound_unless_the_option_is();
  what_is_no_positive_number_is_told();
  a_lookup_ends_after_the_variables_bound();
  return 0;
}
