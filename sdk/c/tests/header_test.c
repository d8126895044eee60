/* The header in strict C99, and the shared library. */
#include "payonce.h"

int main(void) {
  payonce_client* client = payonce_open(0);
  payonce_close(client);
  return payonce_result_status(0) == PAYONCE_UNAVAILABLE ? 0 : 1;
}
