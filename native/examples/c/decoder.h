/* A decoder in ONNX Runtime with the inputs that onnxruntime-genai gives it, loaded and run without linking anything: libraries come from dlopen. */
#ifndef DECODER_H
#define DECODER_H

#include "ort_minimal.h"

#define DECODER_MAX_INPUTS 256

/* ONNX Runtime in this process. */
typedef struct runtime {
    const OrtApiBase *base;
    const OrtApi *api;
    OrtEnv *env;
    OrtMemoryInfo *memory;
} runtime;

/* One prompt's inputs, S tokens of one sequence with nothing in the past, and the session that takes them. */
typedef struct decoder {
    const runtime *ort;
    OrtSession *session;
    size_t inputs;
    char *name[DECODER_MAX_INPUTS];
    void *data[DECODER_MAX_INPUTS];
    OrtValue *value[DECODER_MAX_INPUTS];
} decoder;

/* Ends the program with the text of a status that is an error. */
void check(const runtime *ort, OrtStatus *status);

/* Loads libonnxruntime. */
void runtime_open(runtime *ort, const char *path);

void runtime_close(runtime *ort);

/*
 * Makes a session with the custom-op library at the path given, overriding the operators named, on one thread. Embeddings are random numbers that depend on
 * nothing: no language is in them.
 */
void decoder_open(decoder *decoder, const runtime *ort, const char *library, const char *override, const char *model, int64_t tokens);

/* As above, with options of your own, which it releases. */
void decoder_open_with(decoder *decoder, const runtime *ort, OrtSessionOptions *options, const char *model, int64_t tokens);

/* Runs the prompt and copies the logits, count floats, which the caller frees. Any number of threads may run at once. */
float *decoder_run(const decoder *decoder, size_t *count);

void decoder_close(decoder *decoder);

#endif
