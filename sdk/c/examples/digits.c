/* A computation that is paid for once: the last digits of Fibonacci numbers, kept in a running Payonce.
 *
 *   cc -Isdk/c/include sdk/c/examples/digits.c -lpayonce_client -o digits
 *   payonce serve --upstream http://127.0.0.1:1/v1 &
 *   ./digits 90001000     miss: computed 875 in 212 ms
 *   ./digits 90001000     hit: 875
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "payonce.h"

static unsigned last_digits(uint64_t n) {
  unsigned a = 0, b = 1;
  for (uint64_t i = 0; i < n; i++) {
    const unsigned next = (a + b) % 1000;
    a = b;
    b = next;
  }
  return a;
}

int main(int argc, char** argv) {
  const uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;
  payonce_client* cache = payonce_open(NULL);

  char request[256];
  (void)snprintf(request, sizeof request,
                 "{\"kind\":\"tool_result\",\"parts\":{\"tool\":\"fibonacci_digits\",\"arguments\":{\"n\":%" PRIu64
                 "}},\"versions\":{\"fibonacci_digits\":\"1\"}}",
                 n);
  payonce_result* found = payonce_lookup(cache, request);
  const payonce_status status = payonce_result_status(found);

  if (status == PAYONCE_HIT) {
    printf("hit: %s\n", payonce_result_value(found));
  } else {
    const clock_t begin = clock();
    char value[16];
    (void)snprintf(value, sizeof value, "%u", last_digits(n));
    printf("%s: computed %s in %ld ms\n", payonce_status_name(status), value,
           (long)((clock() - begin) * 1000 / CLOCKS_PER_SEC));
    if (payonce_result_error(found) != NULL) fprintf(stderr, "payonce: %s\n", payonce_result_error(found));
    if (payonce_result_ticket(found) != NULL)
      payonce_result_free(payonce_commit_value(cache, payonce_result_ticket(found), value));
  }
  payonce_result_free(found);
  payonce_close(cache);
  return 0;
}
