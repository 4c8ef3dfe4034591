/*
 * Every function that the library exports. Each passes its call on to the image that fits the processor.
 *
 * The ahead-of-time compiler inlines the instructions of one set only, and its code ends the process where they are missing. The library therefore holds the same C# program
 * three times (images.targets), each image with a runtime of its own, of which exactly one ever starts: at the first call, not when the library is loaded.
 */
#define _POSIX_C_SOURCE 200809L /* sigaction */

#include "attention_kernels.h"
#include "processor.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES 1024 /* stated in the header */

/* In the order of Functions.cs. */
struct functions {
    struct OrtStatus *(*register_custom_ops)(struct OrtSessionOptions *, const struct OrtApiBase *);
    attention_kernels_status (*create)(attention_kernels_scope *);
    attention_kernels_status (*destroy)(attention_kernels_scope);
    attention_kernels_status (*set_roles)(attention_kernels_scope, const attention_kernels_roles *);
    attention_kernels_status (*set_query_roles)(attention_kernels_scope, const attention_kernels_roles *);
    attention_kernels_status (*set_policy)(attention_kernels_scope, const attention_kernels_policy *);
    attention_kernels_status (*set_layers)(attention_kernels_scope, const char *);
    attention_kernels_status (*set_gate)(attention_kernels_scope, attention_kernels_scope);
    attention_kernels_status (*begin)(attention_kernels_scope);
    attention_kernels_status (*end)(attention_kernels_scope);
    attention_kernels_status (*layer_count)(attention_kernels_scope, size_t *);
    attention_kernels_status (*layer)(attention_kernels_scope, size_t, attention_kernels_layer *);
    attention_kernels_status (*read_scores)(attention_kernels_scope, size_t, float *, size_t);
    attention_kernels_status (*read_alignment)(attention_kernels_scope, size_t, float *, size_t);
};

typedef char *error_text(void);

/* The entry of an image: tells it where the error text of the calling thread is and how many bytes it has, and returns what it can do. */
extern const struct functions *image_base(error_text *text, size_t bytes);
extern const struct functions *image_avx2(error_text *text, size_t bytes);
extern const struct functions *image_avx512(error_text *text, size_t bytes);

static _Thread_local char last_error[TEXT_BYTES];
static pthread_once_t chosen = PTHREAD_ONCE_INIT;
static const struct functions *started;

static char *text_of_thread(void)
{
    return last_error;
}

/* The engine's environment variable chooses the image, too: no image is good at the instructions of another. What it cannot have, the image refuses by itself. */
static enum processor_level wanted_level(void)
{
    const char *name = getenv("ATTNK_ISA");
    if (name != NULL && strcmp(name, "portable") == 0) {
        return PROCESSOR_BASE;
    }
    return name != NULL && strcmp(name, "avx2") == 0 ? PROCESSOR_AVX2 : PROCESSOR_AVX512;
}

static void choose(void)
{
    enum processor_level has = processor_level(), wanted = wanted_level();
    struct sigaction on_broken_pipe; /* a starting .NET runtime ignores it for its sockets, of which there are none; the host's choice comes back */
    sigaction(SIGPIPE, NULL, &on_broken_pipe);
    switch (has < wanted ? has : wanted) {
    case PROCESSOR_AVX512:
        started = image_avx512(text_of_thread, TEXT_BYTES);
        break;
    case PROCESSOR_AVX2:
        started = image_avx2(text_of_thread, TEXT_BYTES);
        break;
    case PROCESSOR_BASE:
        started = image_base(text_of_thread, TEXT_BYTES);
        break;
    case PROCESSOR_TOO_OLD:
        break;
    }
    sigaction(SIGPIPE, &on_broken_pipe, NULL);
}

/* Null where the processor is too old for every image. */
static const struct functions *get(void)
{
    pthread_once(&chosen, choose);
    if (started == NULL) {
        strcpy(last_error, "AttentionKernels needs a processor with SSE4.2 and POPCNT (x86-64-v2)");
    }
    return started;
}

#define CALL(name, ...)                                                                        \
    do {                                                                                       \
        const struct functions *functions = get();                                             \
        return functions == NULL ? ATTENTION_KERNELS_UNSUPPORTED_PROCESSOR : functions->name(__VA_ARGS__); \
    } while (0)

const char *attention_kernels_version(void)
{
    return ATTENTION_KERNELS_VERSION;
}

uint32_t attention_kernels_abi_version(void)
{
    return ATTENTION_KERNELS_ABI_VERSION;
}

const char *attention_kernels_last_error(void)
{
    return last_error;
}

attention_kernels_status attention_kernels_scope_create(attention_kernels_scope *scope)
{
    CALL(create, scope);
}

attention_kernels_status attention_kernels_scope_destroy(attention_kernels_scope scope)
{
    CALL(destroy, scope);
}

attention_kernels_status attention_kernels_scope_set_roles(attention_kernels_scope scope, const attention_kernels_roles *roles)
{
    CALL(set_roles, scope, roles);
}

attention_kernels_status attention_kernels_scope_set_query_roles(attention_kernels_scope scope, const attention_kernels_roles *roles)
{
    CALL(set_query_roles, scope, roles);
}

attention_kernels_status attention_kernels_scope_set_policy(attention_kernels_scope scope, const attention_kernels_policy *policy)
{
    CALL(set_policy, scope, policy);
}

attention_kernels_status attention_kernels_scope_set_layers(attention_kernels_scope scope, const char *layers)
{
    CALL(set_layers, scope, layers);
}

attention_kernels_status attention_kernels_scope_set_gate(attention_kernels_scope scope, attention_kernels_scope measured)
{
    CALL(set_gate, scope, measured);
}

attention_kernels_status attention_kernels_scope_begin(attention_kernels_scope scope)
{
    CALL(begin, scope);
}

attention_kernels_status attention_kernels_scope_end(attention_kernels_scope scope)
{
    CALL(end, scope);
}

attention_kernels_status attention_kernels_scope_layer_count(attention_kernels_scope scope, size_t *count)
{
    CALL(layer_count, scope, count);
}

attention_kernels_status attention_kernels_scope_layer(attention_kernels_scope scope, size_t index, attention_kernels_layer *layer)
{
    CALL(layer, scope, index, layer);
}

attention_kernels_status attention_kernels_scope_read_scores(attention_kernels_scope scope, size_t index, float *scores, size_t count)
{
    CALL(read_scores, scope, index, scores, count);
}

attention_kernels_status attention_kernels_scope_read_alignment(attention_kernels_scope scope, size_t index, float *alignment, size_t count)
{
    CALL(read_alignment, scope, index, alignment, count);
}

/* ONNX Runtime's own: the base that it hands out, and the first function of the oldest table. */
struct api_base {
    void *const *(*get_api)(uint32_t version);
    const char *(*get_version)(void);
};

typedef struct OrtStatus *create_status(int code, const char *text);

struct OrtStatus *RegisterCustomOps(struct OrtSessionOptions *options, const struct OrtApiBase *api_base)
{
    const struct functions *functions = get();
    if (functions != NULL) {
        return functions->register_custom_ops(options, api_base);
    }
    if (api_base == NULL) {
        return NULL;
    }
    create_status *status;
    memcpy(&status, ((const struct api_base *)api_base)->get_api(1), sizeof status); /* a function pointer is no object pointer in standard C */
    return status(9, last_error); /* ORT_NOT_IMPLEMENTED */
}
