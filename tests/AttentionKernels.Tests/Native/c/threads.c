/*
 * Eight threads run one session at once, each under a scope of its own; each must find, again and again and bit for bit, what its scope finds alone.
 *
 *   threads libonnxruntime.so.1 libattention_kernels.so model.onnx
 */
#include "clip.h"
#include "decoder.h"
#include "expect.h"

#include <pthread.h>
#include <stdlib.h>

#define THREADS 8
#define RUNS 25
#define SCORES 8 /* 2 layers of 4 heads */

typedef struct result {
    float *logits;
    size_t count;
    float scores[SCORES];
} result;

typedef struct worker {
    const decoder *decoder;
    attention_kernels_scope scope; /* 0: none */
    result alone;
} worker;

static result run(const worker *worker)
{
    result found = {0};
    size_t layers = 0;
    if (worker->scope != 0) {
        EXPECT_OK(attention_kernels_scope_begin(worker->scope));
    }
    found.logits = decoder_run(worker->decoder, &found.count);
    if (worker->scope != 0) {
        EXPECT_OK(attention_kernels_scope_end(worker->scope));
        EXPECT_OK(attention_kernels_scope_layer_count(worker->scope, &layers));
        for (size_t i = 0; i < layers && i < 2; i++) {
            EXPECT_OK(attention_kernels_scope_read_scores(worker->scope, i, found.scores + 4 * i, 4));
        }
    }
    return found;
}

static void *work(void *argument)
{
    const worker *worker = argument;
    for (int i = 0; i < RUNS; i++) {
        result found = run(worker);
        EXPECT(found.count == worker->alone.count && memcmp(found.logits, worker->alone.logits, found.count * sizeof(float)) == 0);
        EXPECT(memcmp(found.scores, worker->alone.scores, sizeof found.scores) == 0);
        free(found.logits);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        return 2;
    }
    runtime ort;
    decoder decoder;
    runtime_open(&ort, argv[1]);
    decoder_open(&decoder, &ort, argv[2], "GroupQueryAttention", argv[3], CLIP_TOKENS);
    worker workers[THREADS] = {0};
    for (int i = 0; i < THREADS; i++) {
        workers[i].decoder = &decoder;
        if (i > 0) { /* the first runs plain */
            clip clip;
            attention_kernels_roles roles = clip_roles(&clip);
            for (int t = 0; t < CLIP_TOKENS; t++) {
                clip.speakers[t] = t % THREADS == i ? 0 : clip.speakers[t]; /* roles of its own */
            }
            attention_kernels_policy policy = {sizeof policy, ATTENTION_KERNELS_SOCIAL, (float)i / 4, 0, 0, 0};
            EXPECT_OK(attention_kernels_scope_create(&workers[i].scope));
            EXPECT_OK(attention_kernels_scope_set_roles(workers[i].scope, &roles));
            EXPECT_OK(attention_kernels_scope_set_policy(workers[i].scope, &policy));
            EXPECT_OK(attention_kernels_scope_set_layers(workers[i].scope, i % 3 == 0 ? "1" : "all"));
        }
        workers[i].alone = run(&workers[i]);
        for (int k = 0; k < i; k++) {
            EXPECT(memcmp(workers[i].alone.logits, workers[k].alone.logits, workers[i].alone.count * sizeof(float)) != 0); /* they do differ */
        }
    }
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        EXPECT(pthread_create(&threads[i], NULL, work, &workers[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        EXPECT(pthread_join(threads[i], NULL) == 0);
        free(workers[i].alone.logits);
        EXPECT(workers[i].scope == 0 || attention_kernels_scope_destroy(workers[i].scope) == 0);
    }
    decoder_close(&decoder);
    runtime_close(&ort);
    return failures;
}
