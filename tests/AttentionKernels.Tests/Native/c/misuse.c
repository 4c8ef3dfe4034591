/* Every function of the C interface, called wrongly: each call must give its error, and the process must live. No ONNX Runtime is needed. */
#include "clip.h"
#include "expect.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#define ARGUMENT ATTENTION_KERNELS_INVALID_ARGUMENT
#define HANDLE ATTENTION_KERNELS_INVALID_HANDLE
#define STATE ATTENTION_KERNELS_WRONG_STATE
#define THREAD ATTENTION_KERNELS_WRONG_THREAD

static clip tokens;
static attention_kernels_roles roles;
static const attention_kernels_policy good_policy = {sizeof good_policy, ATTENTION_KERNELS_SOCIAL, 1, 5e-5f, 0, 0};

/* A scope with roles. */
static attention_kernels_scope make(void)
{
    attention_kernels_scope scope = 0;
    EXPECT_OK(attention_kernels_scope_create(&scope));
    EXPECT_OK(attention_kernels_scope_set_roles(scope, &roles));
    return scope;
}

/* All functions that take a handle. */
static void handle_is_refused(attention_kernels_scope scope)
{
    size_t count;
    float number;
    attention_kernels_layer layer = {.struct_size = sizeof layer};
    EXPECT_ERROR(HANDLE, "scope", attention_kernels_scope_destroy(scope));
    EXPECT_ERROR(HANDLE, "scope", attention_kernels_scope_set_roles(scope, &roles));
    EXPECT_ERROR(HANDLE, "scope", attention_kernels_scope_set_query_roles(scope, NULL));
    EXPECT_ERROR(HANDLE, "scope", attention_kernels_scope_set_policy(scope, &good_policy));
    EXPECT_ERROR(HANDLE, "scope", attention_kernels_scope_set_layers(scope, "all"));
    EXPECT_ERROR(HANDLE, "scope", attention_kernels_scope_set_gate(scope, 0));
    EXPECT_ERROR(HANDLE, "scope", attention_kernels_scope_begin(scope));
    EXPECT_ERROR(HANDLE, "scope", attention_kernels_scope_end(scope));
    EXPECT_ERROR(HANDLE, "scope", attention_kernels_scope_layer_count(scope, &count));
    EXPECT_ERROR(HANDLE, "scope", attention_kernels_scope_layer(scope, 0, &layer));
    EXPECT_ERROR(HANDLE, "scope", attention_kernels_scope_read_scores(scope, 0, &number, 1));
    EXPECT_ERROR(HANDLE, "scope", attention_kernels_scope_read_alignment(scope, 0, &number, 1));
}

static void handles(void)
{
    attention_kernels_scope scope = make(), other;
    EXPECT_OK(attention_kernels_scope_destroy(scope));
    handle_is_refused(scope); /* its first call is a double destroy */
    EXPECT_OK(attention_kernels_scope_create(&other));
    handle_is_refused(scope); /* its place is taken again */
    handle_is_refused(0);
    handle_is_refused(1);
    handle_is_refused(UINT64_MAX);
    handle_is_refused((attention_kernels_scope)(uintptr_t)&scope);
    handle_is_refused(other + 1);
    handle_is_refused(other ^ (attention_kernels_scope)1 << 32);
    attention_kernels_scope user = make();
    EXPECT_ERROR(HANDLE, "scope", attention_kernels_scope_set_gate(user, scope));
    EXPECT_OK(attention_kernels_scope_destroy(user));
    EXPECT_OK(attention_kernels_scope_destroy(other));
}

static void null_pointers(void)
{
    attention_kernels_scope scope = make();
    EXPECT_ERROR(ARGUMENT, "scope is null", attention_kernels_scope_create(NULL));
    EXPECT_ERROR(ARGUMENT, "roles is null", attention_kernels_scope_set_roles(scope, NULL));
    EXPECT_OK(attention_kernels_scope_set_query_roles(scope, NULL));
    EXPECT_ERROR(ARGUMENT, "policy is null", attention_kernels_scope_set_policy(scope, NULL));
    EXPECT_ERROR(ARGUMENT, "layers is null", attention_kernels_scope_set_layers(scope, NULL));
    EXPECT_ERROR(ARGUMENT, "count is null", attention_kernels_scope_layer_count(scope, NULL));
    EXPECT_ERROR(ARGUMENT, "layer is null", attention_kernels_scope_layer(scope, 0, NULL));
    attention_kernels_roles without = roles;
    without.speakers = NULL;
    EXPECT_ERROR(ARGUMENT, "speakers", attention_kernels_scope_set_roles(scope, &without));
    EXPECT(RegisterCustomOps(NULL, NULL) == NULL);
    EXPECT(strstr(attention_kernels_last_error(), "OrtApiBase is null") != NULL);
    EXPECT_OK(attention_kernels_scope_destroy(scope));
}

static void sizes_and_values(void)
{
    attention_kernels_scope scope = make();
    attention_kernels_roles r = roles;
    attention_kernels_policy p = good_policy;

    r.struct_size = 0;
    EXPECT_ERROR(ARGUMENT, "struct_size of attention_kernels_roles is 0", attention_kernels_scope_set_roles(scope, &r));
    EXPECT_ERROR(ARGUMENT, "struct_size", attention_kernels_scope_set_query_roles(scope, &r));
    p.struct_size = sizeof p + 4;
    EXPECT_ERROR(ARGUMENT, "struct_size of attention_kernels_policy", attention_kernels_scope_set_policy(scope, &p));

    const int32_t batches[] = {0, -1, INT32_MIN, INT32_MAX};
    for (int i = 0; i < 4; i++) {
        r = roles;
        r.batch = batches[i];
        EXPECT_ERROR(ARGUMENT, "batch is", attention_kernels_scope_set_roles(scope, &r));
    }
    r = roles;
    r.length = -1;
    EXPECT_ERROR(ARGUMENT, "length -1", attention_kernels_scope_set_roles(scope, &r));
    static uint8_t wrong[CLIP_TOKENS];
    wrong[5] = 77;
    r = roles;
    r.modality = wrong;
    EXPECT_ERROR(ARGUMENT, "77", attention_kernels_scope_set_roles(scope, &r));

    p = good_policy;
    p.kind = 2;
    EXPECT_ERROR(ARGUMENT, "kind is 2", attention_kernels_scope_set_policy(scope, &p));
    p = good_policy;
    p.alpha = INFINITY;
    EXPECT_ERROR(ARGUMENT, "Alpha", attention_kernels_scope_set_policy(scope, &p));
    p = good_policy;
    p.lambda = NAN;
    EXPECT_ERROR(ARGUMENT, "Lambda", attention_kernels_scope_set_policy(scope, &p));
    EXPECT_ERROR(ARGUMENT, "3-1", attention_kernels_scope_set_layers(scope, "3-1"));
    EXPECT_OK(attention_kernels_scope_destroy(scope));
}

static void states(void)
{
    attention_kernels_scope scope = make(), second = make(), bare;
    size_t count;
    EXPECT_OK(attention_kernels_scope_create(&bare));
    EXPECT_ERROR(STATE, "no roles", attention_kernels_scope_begin(bare));
    EXPECT_ERROR(STATE, "not begun", attention_kernels_scope_end(scope));
    EXPECT_ERROR(STATE, "found nothing", attention_kernels_scope_layer_count(scope, &count));
    EXPECT_ERROR(STATE, "found nothing", attention_kernels_scope_set_gate(scope, second));

    EXPECT_OK(attention_kernels_scope_begin(scope));
    EXPECT_ERROR(STATE, "end it first", attention_kernels_scope_begin(scope));
    EXPECT_ERROR(STATE, "already", attention_kernels_scope_begin(second));
    EXPECT_ERROR(STATE, "end it first", attention_kernels_scope_set_roles(scope, &roles));
    EXPECT_ERROR(STATE, "end it first", attention_kernels_scope_set_query_roles(scope, NULL));
    EXPECT_ERROR(STATE, "end it first", attention_kernels_scope_set_policy(scope, &good_policy));
    EXPECT_ERROR(STATE, "end it first", attention_kernels_scope_set_layers(scope, "all"));
    EXPECT_ERROR(STATE, "end it first", attention_kernels_scope_set_gate(scope, 0));
    EXPECT_ERROR(STATE, "no attention node ran", attention_kernels_scope_layer_count(scope, &count));
    EXPECT_ERROR(STATE, "no attention node ran", attention_kernels_scope_end(scope));

    EXPECT_OK(attention_kernels_scope_begin(second)); /* the failed end has ended the first */
    EXPECT_OK(attention_kernels_scope_destroy(second)); /* and destroying ends this one */
    EXPECT_OK(attention_kernels_scope_begin(scope));
    EXPECT_OK(attention_kernels_scope_destroy(scope));
    EXPECT_OK(attention_kernels_scope_destroy(bare));
}

static void *on_another_thread(void *argument)
{
    attention_kernels_scope scope = *(attention_kernels_scope *)argument;
    size_t count;
    EXPECT(attention_kernels_last_error()[0] == 0); /* a text of its own, so far none */
    EXPECT_ERROR(THREAD, "another thread", attention_kernels_scope_end(scope));
    EXPECT_ERROR(THREAD, "another thread", attention_kernels_scope_destroy(scope));
    EXPECT_ERROR(THREAD, "another thread", attention_kernels_scope_layer_count(scope, &count));
    EXPECT_ERROR(STATE, "end it first", attention_kernels_scope_begin(scope));
    return NULL;
}

static void *begin_and_leave(void *argument)
{
    EXPECT_OK(attention_kernels_scope_begin(*(attention_kernels_scope *)argument));
    return NULL;
}

static void threads(void)
{
    attention_kernels_scope scope = make();
    pthread_t thread;
    EXPECT_OK(attention_kernels_scope_begin(scope));
    EXPECT(pthread_create(&thread, NULL, on_another_thread, &scope) == 0 && pthread_join(thread, NULL) == 0);
    EXPECT_OK(attention_kernels_scope_destroy(scope));

    scope = make();
    EXPECT(pthread_create(&thread, NULL, begin_and_leave, &scope) == 0 && pthread_join(thread, NULL) == 0);
    EXPECT_ERROR(THREAD, "another thread", attention_kernels_scope_end(scope));
    EXPECT_OK(attention_kernels_scope_destroy(scope)); /* its thread has ended */
}

/* Handles thrown at all functions, and threads that destroy the same scopes: whatever they give, nothing ends the process. */
static void *hammer(void *argument)
{
    attention_kernels_scope *shared = argument;
    unsigned random = (unsigned)(uintptr_t)&argument;
    for (int i = 0; i < 2000; i++) {
        random = random * 1664525u + 1013904223u;
        attention_kernels_scope scope = shared[random >> 29];
        size_t count;
        attention_kernels_scope_set_roles(scope, &roles);
        attention_kernels_scope_begin(scope);
        attention_kernels_scope_layer_count(scope, &count);
        attention_kernels_scope_end(scope);
        if ((random >> 8) % 16 == 0) {
            attention_kernels_scope_destroy(scope);
            attention_kernels_scope_create(&scope);
            __atomic_store_n(&shared[random >> 29], scope, __ATOMIC_RELAXED);
        }
    }
    return NULL;
}

static void concurrent_calls(void)
{
    static attention_kernels_scope shared[8];
    pthread_t all[4];
    for (int i = 0; i < 8; i++) {
        shared[i] = make();
    }
    for (int i = 0; i < 4; i++) {
        EXPECT(pthread_create(&all[i], NULL, hammer, shared) == 0);
    }
    for (int i = 0; i < 4; i++) {
        EXPECT(pthread_join(all[i], NULL) == 0);
    }
}

int main(void)
{
    roles = clip_roles(&tokens);
    signal(SIGPIPE, SIG_DFL);
    EXPECT(strcmp(attention_kernels_version(), "") != 0);
    EXPECT(attention_kernels_abi_version() == ATTENTION_KERNELS_ABI_VERSION);
    EXPECT(attention_kernels_last_error()[0] == 0);
    handles();
    null_pointers();
    sizes_and_values();
    states();
    threads();
    concurrent_calls();
    EXPECT(signal(SIGPIPE, SIG_IGN) == SIG_DFL); /* as it was */
    return failures;
}
