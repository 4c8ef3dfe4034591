/* The library's entry on a processor that is too old for every image: compiled together with entry.c, in the place of processor.c and the images. */
#include "expect.h"
#include "processor.h"

#include <stdlib.h>

enum processor_level processor_level(void)
{
    return PROCESSOR_TOO_OLD;
}

#define IMAGE(name)                                     \
    const void *name(char *(*text)(void), size_t bytes); \
    const void *name(char *(*text)(void), size_t bytes) \
    {                                                   \
        (void)text;                                     \
        (void)bytes;                                    \
        abort();                                        \
    }
IMAGE(image_base)
IMAGE(image_avx2)
IMAGE(image_avx512)

struct OrtStatus {
    int code;
};
static struct OrtStatus made;
static struct OrtStatus *create_status(int code, const char *text)
{
    made.code = strstr(text, "SSE4.2") != NULL ? code : -1;
    return &made;
}
static void *table[1];
static void *const *get_api(uint32_t version)
{
    return version == 1 ? table : NULL;
}
struct OrtApiBase {
    void *const *(*get_api)(uint32_t);
    const char *(*get_version)(void);
};

int main(void)
{
    attention_kernels_scope scope;
    struct OrtStatus *(*function)(int, const char *) = create_status;
    struct OrtApiBase base = {get_api, NULL};
    memcpy(table, &function, sizeof function);
    EXPECT_ERROR(ATTENTION_KERNELS_UNSUPPORTED_PROCESSOR, "SSE4.2", attention_kernels_scope_create(&scope));
    EXPECT_ERROR(ATTENTION_KERNELS_UNSUPPORTED_PROCESSOR, "SSE4.2", attention_kernels_scope_end(1));
    EXPECT(RegisterCustomOps(NULL, &base) == &made && made.code == 9);
    EXPECT(RegisterCustomOps(NULL, NULL) == NULL);
    EXPECT(attention_kernels_version()[0] != 0);
    return failures;
}
