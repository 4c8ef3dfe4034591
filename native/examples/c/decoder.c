#include "decoder.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void check(const runtime *ort, OrtStatus *status)
{
    const OrtApi *api = ort->api;
    if (status != NULL) {
        fprintf(stderr, "ONNX Runtime: %s\n", ort_error_message(status));
        exit(1);
    }
}

void runtime_open(runtime *ort, const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    void *symbol = library == NULL ? NULL : dlsym(library, "OrtGetApiBase");
    if (symbol == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    const OrtApiBase *(*get_base)(void);
    memcpy(&get_base, &symbol, sizeof get_base);
    ort->base = get_base();
    const OrtApi *api = ort->api = ort->base->GetApi(ORT_API_VERSION);
    if (api == NULL) {
        fprintf(stderr, "ONNX Runtime %s is too old, expected 1.%d or later\n", ort->base->GetVersionString(), ORT_API_VERSION);
        exit(1);
    }
    check(ort, ort_create_env(ORT_LOG_ERROR, "decoder", &ort->env));
    check(ort, ort_create_cpu_memory_info(0, 0, &ort->memory));
}

void runtime_close(runtime *ort)
{
    const OrtApi *api = ort->api;
    ort_release_memory_info(ort->memory);
    ort_release_env(ort->env);
}

/* Uniform in -1 .. 1. */
static float random_number(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / (float)(1 << 23) - 1;
}

/* Makes input i: symbolic dimensions become a batch of 1, the prompt's tokens, or a past of 0. */
static void make_input(decoder *decoder, size_t i, int64_t tokens)
{
    const runtime *ort = decoder->ort;
    const OrtApi *api = ort->api;
    OrtAllocator *allocator;
    OrtTypeInfo *type;
    const OrtTensorTypeAndShapeInfo *info;
    int element;
    size_t rank, count = 1;
    int64_t shape[4];
    check(ort, ort_default_allocator(&allocator));
    check(ort, ort_input_name(decoder->session, i, allocator, &decoder->name[i]));
    check(ort, ort_input_type_info(decoder->session, i, &type));
    check(ort, ort_cast_to_tensor_info(type, &info));
    check(ort, ort_element_type(info, &element));
    check(ort, ort_dimension_count(info, &rank));
    if (rank > 4 || (element != ORT_FLOAT && element != ORT_INT64)) {
        fprintf(stderr, "input '%s' is not one of a float32 decoder\n", decoder->name[i]);
        exit(1);
    }
    check(ort, ort_dimensions(info, shape, rank));
    ort_release_type_info(type);

    int past = strncmp(decoder->name[i], "past_key_values.", 16) == 0; /* [B, heads, past, head size] */
    int axes = strcmp(decoder->name[i], "position_ids") == 0 && rank == 3; /* [3, B, S] */
    for (size_t d = 0; d < rank; d++) {
        if (shape[d] < 0) {
            shape[d] = d == (axes ? 1u : 0u) ? 1 : past ? 0 : tokens;
        }
        count *= (size_t)shape[d];
    }
    size_t bytes = count * (element == ORT_FLOAT ? sizeof(float) : sizeof(int64_t));
    void *data = decoder->data[i] = malloc(bytes + 1);
    if (data == NULL) {
        fprintf(stderr, "no memory is left\n");
        exit(1);
    }
    uint32_t state = 1;
    for (size_t k = 0; k < count; k++) {
        if (element == ORT_FLOAT) {
            ((float *)data)[k] = random_number(&state);
        } else {
            ((int64_t *)data)[k] = strcmp(decoder->name[i], "attention_mask") == 0 ? 1 : (int64_t)k % tokens;
        }
    }
    check(ort, ort_create_tensor_with_data(ort->memory, data, bytes, shape, rank, element, &decoder->value[i]));
}

void decoder_open(decoder *decoder, const runtime *ort, const char *library, const char *override, const char *model, int64_t tokens)
{
    const OrtApi *api = ort->api;
    OrtSessionOptions *options;
    check(ort, ort_create_session_options(&options));
    check(ort, ort_add_session_config_entry(options, "attention_kernels.override", override));
    check(ort, ort_register_custom_ops_library(options, library));
    decoder_open_with(decoder, ort, options, model, tokens);
}

void decoder_open_with(decoder *decoder, const runtime *ort, OrtSessionOptions *options, const char *model, int64_t tokens)
{
    const OrtApi *api = ort->api;
    decoder->ort = ort;
    check(ort, ort_set_intra_op_threads(options, 1));
    check(ort, ort_create_session(ort->env, model, options, &decoder->session));
    ort_release_session_options(options);
    check(ort, ort_input_count(decoder->session, &decoder->inputs));
    if (decoder->inputs > DECODER_MAX_INPUTS) {
        fprintf(stderr, "the model has %zu inputs, expected at most %d\n", decoder->inputs, DECODER_MAX_INPUTS);
        exit(1);
    }
    for (size_t i = 0; i < decoder->inputs; i++) {
        make_input(decoder, i, tokens);
    }
}

float *decoder_run(const decoder *decoder, size_t *count)
{
    const runtime *ort = decoder->ort;
    const OrtApi *api = ort->api;
    const char *output = "logits";
    OrtValue *logits = NULL;
    OrtTensorTypeAndShapeInfo *info;
    void *data;
    check(ort, ort_run(decoder->session, NULL, (const char *const *)decoder->name, (const OrtValue *const *)decoder->value, decoder->inputs, &output, 1, &logits));
    check(ort, ort_tensor_info(logits, &info));
    check(ort, ort_element_count(info, count));
    ort_release_tensor_info(info);
    check(ort, ort_tensor_data(logits, &data));
    float *copy = malloc(*count * sizeof *copy);
    if (copy == NULL) {
        fprintf(stderr, "no memory is left\n");
        exit(1);
    }
    memcpy(copy, data, *count * sizeof *copy);
    ort_release_value(logits);
    return copy;
}

void decoder_close(decoder *decoder)
{
    const OrtApi *api = decoder->ort->api;
    OrtAllocator *allocator;
    check(decoder->ort, ort_default_allocator(&allocator));
    for (size_t i = 0; i < decoder->inputs; i++) {
        ort_release_value(decoder->value[i]);
        free(decoder->data[i]);
        check(decoder->ort, ort_allocator_free(allocator, decoder->name[i]));
    }
    ort_release_session(decoder->session);
}
