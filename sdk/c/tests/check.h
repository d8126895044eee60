/* A check that ends the test and says what does not hold. */
#ifndef PAYONCE_CHECK_H
#define PAYONCE_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                   \
  do {                                                                                     \
    if (!(condition)) {                                                                    \
      (void)fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                                             \
    }                                                                                      \
  } while (0)

#define CHECK_TEXT(found, wanted)                                                    \
  do {                                                                               \
    const char* found_text = (found);                                                \
    if (found_text == NULL || strcmp(found_text, (wanted)) != 0) {                   \
      (void)fprintf(stderr, "%s:%d: \"%s\" instead of \"%s\"\n", __FILE__, __LINE__, \
                    found_text == NULL ? "(null)" : found_text, (wanted));           \
      exit(1);                                                                       \
    }                                                                                \
  } while (0)

#endif
