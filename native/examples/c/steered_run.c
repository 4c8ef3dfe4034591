/*
 * Runs a decoder twice in ONNX Runtime, plain and steered, and prints what the steering found. The model is not changed, nothing is linked, and no .NET is needed.
 *
 *   steered_run libonnxruntime.so.1 libattention_kernels.so model.onnx
 */
#include "clip.h"
#include "decoder.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST(F)                      \
    F(attention_kernels_version)     \
    F(attention_kernels_last_error)  \
    F(attention_kernels_scope_create) \
    F(attention_kernels_scope_destroy) \
    F(attention_kernels_scope_set_roles) \
    F(attention_kernels_scope_set_policy) \
    F(attention_kernels_scope_set_layers) \
    F(attention_kernels_scope_begin) \
    F(attention_kernels_scope_end)   \
    F(attention_kernels_scope_layer_count) \
    F(attention_kernels_scope_layer) \
    F(attention_kernels_scope_read_scores) \
    F(attention_kernels_scope_read_alignment)

/* The library's functions, found at run time: kernels.attention_kernels_version() and so on. */
#define POINTER(name) __typeof__(name) *name;
static struct {
    LIST(POINTER)
} kernels;

static void find(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);
    if (symbol == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    memcpy(function, &symbol, sizeof symbol);
}

static void load_kernels(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
#define FIND(name) find(library, #name, &kernels.name);
    LIST(FIND)
}

static void must(attention_kernels_status status)
{
    if (status != ATTENTION_KERNELS_OK) {
        fprintf(stderr, "AttentionKernels: %s (%d)\n", kernels.attention_kernels_last_error(), (int)status);
        exit(1);
    }
}

static void *numbers(size_t count)
{
    float *memory = malloc(count * sizeof *memory);
    if (memory == NULL) {
        fprintf(stderr, "no memory is left\n");
        exit(1);
    }
    return memory;
}

static void print_layer(attention_kernels_scope scope, size_t index)
{
    attention_kernels_layer layer = {.struct_size = sizeof layer};
    must(kernels.attention_kernels_scope_layer(scope, index, &layer));
    size_t heads = (size_t)layer.batch * (size_t)layer.heads;
    float *scores = numbers(heads), *alignment = numbers(heads * 4);
    must(kernels.attention_kernels_scope_read_scores(scope, index, scores, heads));
    must(kernels.attention_kernels_scope_read_alignment(scope, index, alignment, heads * 4));
    printf("layer %d (%s)\n", (int)layer.layer, layer.node);
    for (size_t head = 0; head < heads; head++) {
        printf("  head %zu: score %.3e, mean aligned attention %.3e -> %.3e\n", head, scores[head], alignment[head * 4], alignment[head * 4 + 1]);
    }
    free(alignment);
    free(scores);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: steered_run libonnxruntime.so.1 libattention_kernels.so model.onnx\n");
        return 2;
    }
    load_kernels(argv[2]);
    printf("AttentionKernels %s\n", kernels.attention_kernels_version());

    runtime ort;
    decoder decoder;
    runtime_open(&ort, argv[1]);
    decoder_open(&decoder, &ort, argv[2], "GroupQueryAttention", argv[3], CLIP_TOKENS);

    size_t count, layers;
    float *plain = decoder_run(&decoder, &count);

    clip clip;
    attention_kernels_roles roles = clip_roles(&clip);
    attention_kernels_policy policy = {.struct_size = sizeof policy, .kind = ATTENTION_KERNELS_SOCIAL, .alpha = 1, .lambda = 5e-5f};
    attention_kernels_scope scope;
    must(kernels.attention_kernels_scope_create(&scope));
    must(kernels.attention_kernels_scope_set_roles(scope, &roles));
    must(kernels.attention_kernels_scope_set_policy(scope, &policy));
    must(kernels.attention_kernels_scope_set_layers(scope, "all"));

    must(kernels.attention_kernels_scope_begin(scope));
    float *steered = decoder_run(&decoder, &count);
    must(kernels.attention_kernels_scope_end(scope));

    must(kernels.attention_kernels_scope_layer_count(scope, &layers));
    for (size_t i = 0; i < layers; i++) {
        print_layer(scope, i);
    }
    float change = 0;
    for (size_t i = 0; i < count; i++) {
        change = fmaxf(change, fabsf(steered[i] - plain[i]));
    }
    printf("%zu layers steered, largest change of a logit %.3e\n", layers, change);

    must(kernels.attention_kernels_scope_destroy(scope));
    free(steered);
    free(plain);
    decoder_close(&decoder);
    runtime_close(&ort);
    return 0;
}
