/*
 * AttentionKernels for hosts that are not .NET: a library of custom operators for ONNX Runtime (1.18 to 1.30, Linux x64), and the steering of attention while a
 * model runs. See docs/native.md for the way in, docs/steering.md for what steering means and docs/operators.md for the formulas.
 *
 * How it goes:
 *
 *   1. Give the path of libattention_kernels.so to ONNX Runtime before sessions are made (RegisterCustomOpsLibrary_V2, register_custom_ops_library in Python,
 *      custom_ops_library in genai_config.json). Say which of ONNX Runtime's own operators the library computes: session configuration entry
 *      attention_kernels.override, or environment variable ATTENTION_KERNELS_OVERRIDE (see RegisterCustomOps below).
 *   2. Make a scope and describe it: roles of the tokens, policy, layers.
 *   3. On the thread that calls Run: begin, Run, end.
 *   4. Read the scores of each layer.
 *
 * Rules for all functions:
 *
 *   Errors     Everything but a text or a version returns a status; 0 is success. What went wrong is in attention_kernels_last_error() of the same thread. After an error
 *              nothing has changed, except where a function says so. No call ends the process, whatever handle, number or null pointer it is given. A pointer that is not
 *              null must point to what its type says: that cannot be checked.
 *   Handles    A scope is a number, not a pointer. 0 is never one, and one that was destroyed is never used again: an old, foreign or made-up handle is an error.
 *   Ownership  Nothing that you pass is kept: arrays and texts are copied before a function returns. Nothing that you receive is yours to free, except scopes.
 *   Threads    Every function may be called on any thread at any time. Begin, Run and end of one scope belong on one thread. Different threads may have different scopes at once.
 *   Structs    Set struct_size to sizeof the struct, for input and for output: a library that knows another layout refuses it.
 *   Text       UTF-8, zero-terminated.
 *
 * Symbols: B batch elements, T tokens of each element (the key length of the attention nodes: past and new tokens), H query heads. Arrays are dense and row-major.
 */
#ifndef ATTENTION_KERNELS_H
#define ATTENTION_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define ATTENTION_KERNELS_EXPORT __attribute__((visibility("default")))
#else
#define ATTENTION_KERNELS_EXPORT
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** Counts up when a function or struct of this header changes in a way that existing programs notice. */
#define ATTENTION_KERNELS_ABI_VERSION 1

/** What a call came to: a value of the enumeration below. */
typedef int32_t attention_kernels_status;

enum {
    ATTENTION_KERNELS_OK = 0,
    /** A null pointer, a struct_size of another layout, or a value that is not possible; the text names it. */
    ATTENTION_KERNELS_INVALID_ARGUMENT = 1,
    /** The handle is 0, was destroyed, or never was one. */
    ATTENTION_KERNELS_INVALID_HANDLE = 2,
    /** The scope is set on another thread. */
    ATTENTION_KERNELS_WRONG_THREAD = 3,
    /** Not now: begun twice, changed while begun, read before it began; or no node followed the scope. */
    ATTENTION_KERNELS_WRONG_STATE = 4,
    /** The processor lacks SSE4.2 or POPCNT. */
    ATTENTION_KERNELS_UNSUPPORTED_PROCESSOR = 5,
    /** None of the above, such as memory that ran out. */
    ATTENTION_KERNELS_FAILED = 6
};

/** A steering scope. */
typedef uint64_t attention_kernels_scope;

/** Values of attention_kernels_roles.modality. */
enum {
    ATTENTION_KERNELS_TEXT = 0,
    ATTENTION_KERNELS_VISUAL = 1,
    ATTENTION_KERNELS_AUDIO = 2,
    ATTENTION_KERNELS_SYSTEM = 3,
    ATTENTION_KERNELS_GENERATED = 4,
    ATTENTION_KERNELS_PADDING = 255
};

/** Roles of the tokens of a batch. */
typedef struct attention_kernels_roles {
    size_t struct_size;
    int32_t batch;           /**< B, 1 or more. */
    int32_t length;          /**< T, 0 or more; B * T * 2 fits an int32. */
    const uint8_t *modality; /**< [B, T] text, visual, ...; may be null if T is 0, as the others. */
    const int64_t *speakers; /**< [B, T] bit masks: bit n (0 to 62) is speaker n; 0: nobody. A box's visual tokens and a sentence's words have their speakers' bits. */
    const int32_t *frames;   /**< [B, T, 2] first video frame and end frame (exclusive) that a token belongs to. */
} attention_kernels_roles;

/** Values of attention_kernels_policy.kind. */
enum {
    ATTENTION_KERNELS_MEASURE = 0, /**< Scores and alignment are found, and the result is plain attention. */
    ATTENTION_KERNELS_SOCIAL = 1   /**< The social-aware bias: words of a speaker are drawn to the speaker's boxes, in heads whose score exceeds lambda. */
};

/** What happens in the layers of a scope. A new scope has the values in brackets. */
typedef struct attention_kernels_policy {
    size_t struct_size;
    int32_t kind;           /**< (SOCIAL) */
    float alpha;            /**< (1) Strength of the bias, finite; unit: the row's largest logit on boxes. */
    float lambda;           /**< (5e-5) A head is active if its score, a mean probability, exceeds this; not NaN. */
    int32_t clamp_negative; /**< (0) Not 0: a bias below 0 becomes 0. */
    int32_t growing;        /**< (0) Not 0, for generation: a run may have fewer keys than T (a prompt in chunks) or more (decoding). Not together with query roles. */
} attention_kernels_policy;

/** An attention node that followed a scope. */
typedef struct attention_kernels_layer {
    size_t struct_size;
    int32_t layer;  /**< The number after "layers" or "blocks" in the node's name; nodes without one count from 0 as they first run. */
    int32_t batch;  /**< B. */
    int32_t heads;  /**< H. */
    int32_t calls;  /**< Runs of the node that held words of a speaker; decode steps hold none. */
    char node[256]; /**< The node's name, cut to 255 bytes. */
} attention_kernels_layer;

/** The library's version, as "0.1.0". Never null. */
ATTENTION_KERNELS_EXPORT const char *attention_kernels_version(void);

/** ATTENTION_KERNELS_ABI_VERSION of the library. */
ATTENTION_KERNELS_EXPORT uint32_t attention_kernels_abi_version(void);

/** The text of this thread's last error; empty if there was none. Never null; the memory is the thread's, and its next error writes over it. At most 1023 bytes. */
ATTENTION_KERNELS_EXPORT const char *attention_kernels_last_error(void);

/** Makes a scope, set on no thread, and writes its handle to *scope. Destroy it when it is no longer needed. */
ATTENTION_KERNELS_EXPORT attention_kernels_status attention_kernels_scope_create(attention_kernels_scope *scope);

/**
 * Ends a scope's life, and ends the scope where it is still set on this thread. One that is set on another thread is not destroyed (WRONG_THREAD), unless that
 * thread has ended.
 */
ATTENTION_KERNELS_EXPORT attention_kernels_status attention_kernels_scope_destroy(attention_kernels_scope scope);

/** Sets the roles of the tokens that keys belong to. A scope needs them to begin. The functions that set something fail with WRONG_STATE between begin and end. */
ATTENTION_KERNELS_EXPORT attention_kernels_status attention_kernels_scope_set_roles(attention_kernels_scope scope, const attention_kernels_roles *roles);

/** Sets the roles of the query rows, for attention between two sequences; null: row i has the role of the key at its position. */
ATTENTION_KERNELS_EXPORT attention_kernels_status attention_kernels_scope_set_query_roles(attention_kernels_scope scope, const attention_kernels_roles *roles);

/** Sets what happens. */
ATTENTION_KERNELS_EXPORT attention_kernels_status attention_kernels_scope_set_policy(attention_kernels_scope scope, const attention_kernels_policy *policy);

/** Sets the layers that are steered and measured, as "all" (the default), "10-19" or "0,4,8-11"; the others are plain attention. */
ATTENTION_KERNELS_EXPORT attention_kernels_status attention_kernels_scope_set_layers(attention_kernels_scope scope, const char *layers);

/**
 * Lets the scores that another scope found decide which heads are active, instead of each run's own: a prompt that comes in chunks is measured first. The scores are
 * copied from measured, which has ended or is set on this thread. 0: each run's own again.
 */
ATTENTION_KERNELS_EXPORT attention_kernels_status attention_kernels_scope_set_gate(attention_kernels_scope scope, attention_kernels_scope measured);

/**
 * Sets the scope on the calling thread: until it ends, what this thread runs follows it. What an earlier begin found is forgotten. A thread has one scope at a time.
 * The session must be sequential (the default of ONNX Runtime) and run by Run, not RunAsync.
 */
ATTENTION_KERNELS_EXPORT attention_kernels_status attention_kernels_scope_begin(attention_kernels_scope scope);

/**
 * Ends the scope on the calling thread, which must be the one that began it. WRONG_STATE if it had not begun, or if not every layer of the scope ran, so that a steering
 * that did not happen is noticed; it has ended then, too.
 */
ATTENTION_KERNELS_EXPORT attention_kernels_status attention_kernels_scope_end(attention_kernels_scope scope);

/** How many attention nodes followed the scope: between begin and end on its thread, afterwards on any. WRONG_STATE if none did. */
ATTENTION_KERNELS_EXPORT attention_kernels_status attention_kernels_scope_layer_count(attention_kernels_scope scope, size_t *count);

/** Describes the node at index (0 .. count - 1, ascending in layers). layer->struct_size is yours to set, the rest is written. */
ATTENTION_KERNELS_EXPORT attention_kernels_status attention_kernels_scope_layer(attention_kernels_scope scope, size_t index, attention_kernels_layer *layer);

/**
 * Copies the head scores of the node at index: scores [B, H], the mean unbiased probability over the pairs of a spoken word and a boxed visual token; 0 without such a pair.
 * count is the number of floats that scores has room for, B * H.
 */
ATTENTION_KERNELS_EXPORT attention_kernels_status attention_kernels_scope_read_scores(attention_kernels_scope scope, size_t index, float *scores, size_t count);

/**
 * Copies the alignment of the node at index: alignment [B, H, 4] holds (mean before, mean after, max before, max after) of the probability on a word's own boxes, averaged over
 * the words that have one. count is the number of floats that alignment has room for, B * H * 4.
 */
ATTENTION_KERNELS_EXPORT attention_kernels_status attention_kernels_scope_read_alignment(attention_kernels_scope scope, size_t index, float *alignment, size_t count);

struct OrtStatus;
struct OrtSessionOptions;
struct OrtApiBase;

/**
 * What ONNX Runtime calls when it is given this library: makes the operators of domain ai.attentionkernels known, and puts the library in the place of ONNX Runtime's own
 * operators. Which, says the session configuration entry "attention_kernels.override", or, without it, the environment variable ATTENTION_KERNELS_OVERRIDE: "none"
 * (the default), "all", or names with commas between: GroupQueryAttention, MultiHeadAttention, Attention.
 *
 * Returns null for success, else a status that is the caller's to release. Without an api base no status can be made: null is returned then, nothing is
 * registered, and attention_kernels_last_error() says so.
 */
ATTENTION_KERNELS_EXPORT struct OrtStatus *RegisterCustomOps(struct OrtSessionOptions *options, const struct OrtApiBase *api_base);

#ifdef __cplusplus
}
#endif

#endif
