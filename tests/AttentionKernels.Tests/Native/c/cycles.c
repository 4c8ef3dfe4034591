/*
 * A session is made, steered and released a thousand times, and ONNX Runtime loads and unloads the library each time. Prints the resident
 * kilobytes after the first 200 cycles, in which pools and caches fill, and after all.
 *
 *   cycles libonnxruntime.so.1 libattention_kernels.so model.onnx
 */
#include "clip.h"
#include "decoder.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CYCLES 1000
#define WARM_UP 200
#define LARGE 20000

static const char *path;

/* A function of the library, which is loaded as long as there is a session and mapped for good; its state survives. */
static void find(const char *name, void *function)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_NOLOAD), *symbol = library == NULL ? NULL : dlsym(library, name);
    if (symbol == NULL) {
        fprintf(stderr, "the library is not loaded, or lacks %s\n", name);
        exit(1);
    }
    memcpy(function, &symbol, sizeof symbol);
    dlclose(library);
}

static void must(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "%s failed\n", what);
        exit(1);
    }
}

#define CALL(name, ...)                         \
    do {                                        \
        __typeof__(name) *function;             \
        find(#name, &function);                 \
        must(function(__VA_ARGS__) == 0, #name); \
    } while (0)

static long resident_kilobytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    must(file != NULL && fscanf(file, "%*s %ld", &pages) == 1, "statm");
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

int main(int argc, char **argv)
{
    must(argc == 4, "arguments");
    path = argv[2];
    runtime ort;
    runtime_open(&ort, argv[1]);
    clip clip;
    attention_kernels_roles roles = clip_roles(&clip);
    static uint8_t modality[LARGE];
    static int64_t speakers[LARGE];
    static int32_t frames[LARGE][2];
    const attention_kernels_roles large = {sizeof large, 1, LARGE, modality, speakers, frames[0]};
    attention_kernels_scope kept = 0;
    long before = 0;
    for (int i = 0; i < CYCLES; i++) {
        decoder decoder;
        attention_kernels_scope scope;
        size_t count, layers;
        float scores[64];
        decoder_open(&decoder, &ort, path, "GroupQueryAttention", argv[3], CLIP_TOKENS);
        if (kept == 0) {
            CALL(attention_kernels_scope_create, &kept);
        }
        CALL(attention_kernels_scope_create, &scope);
        CALL(attention_kernels_scope_set_roles, scope, &roles);
        CALL(attention_kernels_scope_begin, scope);
        free(decoder_run(&decoder, &count));
        CALL(attention_kernels_scope_end, scope);
        CALL(attention_kernels_scope_layer_count, scope, &layers);
        must(layers == 1, "one layer");
        CALL(attention_kernels_scope_read_scores, scope, 0, scores, 4);
        must(scores[0] > 0, "a score");
        CALL(attention_kernels_scope_destroy, scope);
        CALL(attention_kernels_scope_create, &scope);
        CALL(attention_kernels_scope_set_roles, scope, &large); /* 260 kB, so that roles that stay would be seen */
        CALL(attention_kernels_scope_destroy, scope);
        decoder_close(&decoder);
        if (i + 1 == WARM_UP) {
            before = resident_kilobytes();
        }
    }
    /* The scope of the first cycle has outlived every unloading. */
    CALL(attention_kernels_scope_destroy, kept);
    runtime_close(&ort);
    printf("%ld %ld\n", before, resident_kilobytes());
    return 0;
}
