/* Checks that print what was wrong and go on; the number of those that failed is the program's exit code. */
#ifndef EXPECT_H
#define EXPECT_H

#include "attention_kernels.h"

#include <stdio.h>
#include <string.h>

static int failures;

#define EXPECT(condition)                                               \
    do {                                                                \
        if (!(condition)) {                                             \
            fprintf(stderr, "line %d: not %s\n", __LINE__, #condition); \
            failures++;                                                 \
        }                                                               \
    } while (0)

/* A call that fails with a status, and with a text that contains a word. */
#define EXPECT_ERROR(expected, word, call)                                                                            \
    do {                                                                                                              \
        attention_kernels_status status = (call);                                                                     \
        if (status != (expected) || strstr(attention_kernels_last_error(), word) == NULL) {                           \
            fprintf(stderr, "line %d: %s gave %d '%s', expected %d and '%s'\n", __LINE__, #call, (int)status,         \
                attention_kernels_last_error(), (int)(expected), word);                                               \
            failures++;                                                                                               \
        }                                                                                                             \
    } while (0)

#define EXPECT_OK(call) EXPECT_ERROR(ATTENTION_KERNELS_OK, "", call)

#endif
