/* A CUDA driver without a GPU, for tests: writes down every call as a line of text, copies what it is told to copy ("device" memory is host memory), runs no kernel unless it is given
   somebody who does, and fails where it is told to, and where a real one would: launches beyond the device's limits, and what must not be done while a stream is captured. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_KERNELS 512
#define MAX_PARAMETERS 128

typedef struct {
    char name[128];
    int count;
    int sizes[MAX_PARAMETERS];
    int shared; /* dynamic shared memory that was asked for */
} kernel;

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static char *text;
static size_t length, room;
static kernel kernels[MAX_KERNELS];
static int kernel_count;
static char failing_call[64];
static int failing_at, failing_with, failing_seen;
static int capturing, capability = 8, events_come = 1, shared_bytes = 166912;
static int (*launch_hook)(const char *name, const unsigned *grid, unsigned threads, unsigned shared, const unsigned char *parameters, int bytes);
static void (*write_hook)(uint64_t address, size_t bytes);
static void (*memory_hook)(uint64_t address, size_t bytes);
static _Thread_local int depth, capture_mode;

/* What a stream that is being captured was asked for, and a graph of it. Only launches and clearing can be captured. */
typedef struct {
    kernel *function; /* NULL: clear */
    unsigned grid[3], threads, shared;
    unsigned char parameters[1024];
    int bytes;
    uint64_t target;
    unsigned char value;
    size_t count;
} node;

typedef struct {
    node *nodes;
    int count;
} graph;

static void *captured_stream;
static graph captured;

static node *add_node(void) {
    captured.nodes = realloc(captured.nodes, (size_t)(captured.count + 1) * sizeof *captured.nodes);
    memset(&captured.nodes[captured.count], 0, sizeof *captured.nodes);
    return &captured.nodes[captured.count++];
}

static int is_captured(const void *stream) { return stream != NULL && stream == captured_stream; }

static void set_bytes(uint64_t target, unsigned char value, size_t bytes) {
    memset((void *)(uintptr_t)target, value, bytes);
    if (write_hook != NULL) {
        write_hook(target, bytes);
    }
}

static void write_line(const char *format, ...) {
    char line[4096];
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length + (size_t)written + 2 > room) {
        room = (length + (size_t)written + 2) * 2;
        text = realloc(text, room);
    }
    memcpy(text + length, line, (size_t)written);
    length += (size_t)written;
    text[length++] = '\n';
    text[length] = 0;
}

/* What the call returns before it does anything: an injected error, or 201 (CUDA_ERROR_INVALID_CONTEXT) where a context is needed and the thread has none. */
static int enter(const char *call, int needs_context) {
    if (failing_at > 0 && (failing_call[0] == 0 || strcmp(failing_call, call) == 0) && ++failing_seen == failing_at) {
        return failing_with;
    }
    return needs_context && depth == 0 ? 201 : 0;
}

/* What a call that could wait for the device, or do work that is in no stream, returns: while any stream of the process is captured in global mode, 900
   (CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED) unless the thread is in relaxed mode (2). Modes are 0 global, 1 of the thread, 2 relaxed. */
static int unsafe(void) { return capturing != 0 && capture_mode != 2 ? 900 : 0; }

#define BEGIN(call, needs_context, ...) \
    pthread_mutex_lock(&gate); \
    write_line(__VA_ARGS__); \
    int result = enter(call, needs_context); \
    if (result == 0) {
#define END \
    } \
    pthread_mutex_unlock(&gate); \
    return result;

/* ---- for the tests ---- */

void stub_reset(void) {
    pthread_mutex_lock(&gate);
    length = 0;
    if (text != NULL) {
        text[0] = 0;
    }
    failing_at = 0;
    failing_seen = 0;
    capturing = 0;
    capability = 8;
    events_come = 1;
    shared_bytes = 166912;
    launch_hook = NULL;
    write_hook = NULL;
    memory_hook = NULL;
    captured_stream = NULL;
    captured.count = 0;
    pthread_mutex_unlock(&gate);
}

/* Who runs kernels, and who is told of bytes that were copied or set; NULL: nobody. */
void stub_set_hooks(int (*launch)(const char *, const unsigned *, unsigned, unsigned, const unsigned char *, int), void (*written)(uint64_t, size_t)) {
    launch_hook = launch;
    write_hook = written;
}

/* Who is told of device memory: its address and size, or 0 bytes when it is given back. */
void stub_set_memory_hook(void (*memory)(uint64_t, size_t)) { memory_hook = memory; }

/* The calls so far, one in each line. Valid until the next call. */
const char *stub_log(void) { return text == NULL ? "" : text; }

/* The n-th call from now on (of one function, or of any if the name is empty) returns this error. */
void stub_fail(const char *call, int at, int with) {
    pthread_mutex_lock(&gate);
    snprintf(failing_call, sizeof failing_call, "%s", call);
    failing_at = at;
    failing_with = with;
    failing_seen = 0;
    pthread_mutex_unlock(&gate);
}

/* Sizes of a kernel's parameters, so that launches can be written down. */
void stub_kernel(const char *name, int count, const int *sizes) {
    pthread_mutex_lock(&gate);
    int i = 0;
    while (i < kernel_count && strcmp(kernels[i].name, name) != 0) {
        i++;
    }
    if (i < MAX_KERNELS && count <= MAX_PARAMETERS) {
        kernel_count = i < kernel_count ? kernel_count : i + 1;
        snprintf(kernels[i].name, sizeof kernels[i].name, "%s", name);
        kernels[i].count = count;
        memcpy(kernels[i].sizes, sizes, (size_t)count * sizeof *sizes);
    }
    pthread_mutex_unlock(&gate);
}

/* 1: the stream of every call is captured; 2: another one is. */
void stub_set_capturing(int on) { capturing = on; }

/* The most shared memory that a block may ask for. */
void stub_set_shared_bytes(int bytes) { shared_bytes = bytes; }

/* This thread's capture mode. */
int stub_capture_mode(void) { return capture_mode; }

void stub_set_capability(int major) { capability = major; }

/* Whether events have come; if not, uploads are still going on. */
void stub_set_events_come(int come) { events_come = come; }

/* Contexts that this thread has pushed and not popped. */
int stub_depth(void) { return depth; }

/* ---- the driver ---- */

int cuGetErrorName(int error, const char **name) {
    *name = error == 1 ? "CUDA_ERROR_INVALID_VALUE" : error == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : error == 101 ? "CUDA_ERROR_INVALID_DEVICE" : error == 201 ? "CUDA_ERROR_INVALID_CONTEXT"
          : error == 218 ? "CUDA_ERROR_INVALID_PTX" : error == 900 ? "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED" : error == 719 ? "CUDA_ERROR_LAUNCH_FAILED" : NULL;
    return *name == NULL ? 1 : 0;
}

int cuGetErrorString(int error, const char **description) {
    *description = error == 719 ? "unspecified launch failure" : error == 218 ? "a PTX JIT compilation failed" : "some description";
    return 0;
}

int cuInit(unsigned flags) {
    BEGIN("cuInit", 0, "cuInit %u", flags)
    END
}

int cuDriverGetVersion(int *version) {
    BEGIN("cuDriverGetVersion", 0, "cuDriverGetVersion")
    *version = 12040;
    END
}

int cuDeviceGetCount(int *count) {
    BEGIN("cuDeviceGetCount", 0, "cuDeviceGetCount")
    *count = 2;
    END
}

int cuDeviceGetName(char *name, int room, int device) {
    BEGIN("cuDeviceGetName", 0, "cuDeviceGetName of %d", device)
    snprintf(name, (size_t)room, "Stub GPU %d", device - 100);
    END
}

int cuDeviceTotalMem_v2(size_t *bytes, int device) {
    BEGIN("cuDeviceTotalMem", 0, "cuDeviceTotalMem of %d", device)
    *bytes = (size_t)80 << 30;
    END
}

int cuDeviceGet(int *device, int ordinal) {
    BEGIN("cuDeviceGet", 0, "cuDeviceGet %d", ordinal)
    if (ordinal > 1) {
        result = 101;
    } else {
        *device = 100 + ordinal;
    }
    END
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
    BEGIN("cuDeviceGetAttribute", 0, "cuDeviceGetAttribute %d of %d", attribute, device)
    /* Multiprocessors, compute capability; memory's clock in kHz and width in bits, second-level cache. */
    *value = attribute == 16 ? 108 : attribute == 75 ? capability : attribute == 36 ? 1000000 : attribute == 37 ? 512 : attribute == 38 ? 16384 : attribute == 97 ? shared_bytes : 0;
    END
}

int cuDevicePrimaryCtxRetain(void **context, int device) {
    BEGIN("cuDevicePrimaryCtxRetain", 0, "cuDevicePrimaryCtxRetain %d", device)
    *context = (void *)(intptr_t)(0xC0000 + device);
    END
}

int cuCtxPushCurrent_v2(void *context) {
    BEGIN("cuCtxPushCurrent", 0, "cuCtxPushCurrent %p", context)
    depth++;
    END
}

int cuCtxPopCurrent_v2(void **context) {
    BEGIN("cuCtxPopCurrent", 1, "cuCtxPopCurrent")
    depth--;
    *context = NULL;
    END
}

/* Options 5 and 6 are the error log and its size. */
int cuModuleLoadDataEx(void **module, const void *image, unsigned options, int *names, void **values) {
    BEGIN("cuModuleLoadDataEx", 1, "cuModuleLoadDataEx %zu", strlen(image))
    *module = (void *)(intptr_t)(0xD0000 + strlen(image));
    result = unsafe();
    }
    if (result == 218 && options == 2 && names[0] == 5 && names[1] == 6) {
        snprintf(values[0], (size_t)values[1], "ptxas application ptx input, line 7; error");
    }
    pthread_mutex_unlock(&gate);
    return result;
}

int cuModuleGetFunction(void **function, void *module, const char *name) {
    BEGIN("cuModuleGetFunction", 1, "cuModuleGetFunction %s of %p", name, module)
    *function = NULL;
    for (int i = 0; i < kernel_count; i++) {
        if (strcmp(kernels[i].name, name) == 0) {
            *function = &kernels[i];
        }
    }
    result = *function == NULL ? 500 : 0;
    END
}

int cuFuncSetAttribute(kernel *function, int attribute, int value) {
    BEGIN("cuFuncSetAttribute", 1, "cuFuncSetAttribute %s %d %d", function->name, attribute, value)
    if (attribute != 8 || value < 0 || value > shared_bytes) {
        result = 1;
    } else {
        function->shared = value;
    }
    END
}

int cuLaunchKernel(kernel *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *stream, void **parameters, void **extra) {
    unsigned char buffer[1024] = {0};
    char bytes[3072];
    int at = 0, offset = 0;
    for (int i = 0; i < function->count; i++) {
        int size = function->sizes[i];
        offset = (offset + size - 1) / size * size; /* as the device code lays them out */
        memcpy(buffer + offset, parameters[i], (size_t)size);
        for (int n = 0; n < size; n++) {
            at += snprintf(bytes + at, sizeof bytes - (size_t)at, "%02x", buffer[offset + n]);
        }
        at += snprintf(bytes + at, sizeof bytes - (size_t)at, "%s", i + 1 < function->count ? " " : "");
        offset += size;
    }
    pthread_mutex_lock(&gate);
    write_line("cuLaunchKernel %s grid %u,%u,%u block %u,%u,%u shared %u stream %p%s: %s", function->name, gx, gy, gz, bx, by, bz, shared, stream, extra == NULL ? "" : " extra", bytes);
    int result = enter("cuLaunchKernel", 1);
    if (result == 0) {
        unsigned most = function->shared > 49152 ? (unsigned)function->shared : 49152;
        int fits = gx > 0 && gx <= 2147483647 && gy > 0 && gy <= 65535 && gz > 0 && gz <= 65535 && bx > 0 && by > 0 && bz > 0 && bx * by * bz <= 1024;
        result = fits && shared <= most && shared <= (unsigned)shared_bytes && parameters != NULL && extra == NULL ? 0 : 1;
    }
    const char *names = getenv("STUB_LAUNCHES"); /* a file for names of kernels: a process cannot read the log of another one */
    FILE *file = names == NULL ? NULL : fopen(names, "a");
    if (file != NULL) {
        fprintf(file, "%s\n", function->name);
        fclose(file);
    }
    if (result == 0 && is_captured(stream)) {
        node *added = add_node();
        added->function = function;
        added->grid[0] = gx;
        added->grid[1] = gy;
        added->grid[2] = gz;
        added->threads = bx;
        added->shared = shared;
        memcpy(added->parameters, buffer, sizeof buffer);
        added->bytes = offset;
        pthread_mutex_unlock(&gate);
        return 0;
    }
    pthread_mutex_unlock(&gate);
    if (result == 0 && launch_hook != NULL) {
        unsigned grid[3] = {gx, gy, gz};
        result = launch_hook(function->name, grid, bx, shared, buffer, offset);
    }
    return result;
}

int cuMemcpyHtoDAsync_v2(uint64_t target, const void *source, size_t bytes, void *stream) {
    BEGIN("cuMemcpyHtoDAsync", 1, "cuMemcpyHtoDAsync %zu stream %p", bytes, stream)
    if (is_captured(stream)) {
        pthread_mutex_unlock(&gate);
        return 900; /* CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED: nothing of this library captures a copy */
    }
    memcpy((void *)(uintptr_t)target, source, bytes);
    if (write_hook != NULL) {
        write_hook(target, bytes);
    }
    END
}

int cuMemcpyDtoHAsync_v2(void *target, uint64_t source, size_t bytes, void *stream) {
    BEGIN("cuMemcpyDtoHAsync", 1, "cuMemcpyDtoHAsync %zu stream %p", bytes, stream)
    memcpy(target, (const void *)(uintptr_t)source, bytes);
    END
}

int cuMemsetD8Async(uint64_t target, unsigned char value, size_t bytes, void *stream) {
    BEGIN("cuMemsetD8Async", 1, "cuMemsetD8Async %u %zu stream %p", value, bytes, stream)
    if (is_captured(stream)) {
        node *added = add_node();
        added->target = target;
        added->value = value;
        added->count = bytes;
    } else {
        set_bytes(target, value, bytes);
    }
    END
}

int cuStreamIsCapturing(void *stream, int *status) {
    BEGIN("cuStreamIsCapturing", 1, "cuStreamIsCapturing %p", stream)
    *status = capturing == 1 || is_captured(stream);
    END
}

int cuThreadExchangeStreamCaptureMode(int *mode) {
    BEGIN("cuThreadExchangeStreamCaptureMode", 0, "cuThreadExchangeStreamCaptureMode %d", *mode)
    if (*mode < 0 || *mode > 2) {
        result = 1;
    } else {
        int before = capture_mode;
        capture_mode = *mode;
        *mode = before;
    }
    END
}

int cuMemHostAlloc(void **memory, size_t bytes, unsigned flags) {
    BEGIN("cuMemHostAlloc", 1, "cuMemHostAlloc %zu %u", bytes, flags)
    result = unsafe();
    if (result == 0) {
        *memory = malloc(bytes);
    }
    END
}

int cuEventCreate(void **created, unsigned flags) {
    BEGIN("cuEventCreate", 1, "cuEventCreate %u", flags)
    *created = malloc(1);
    END
}

static int elapsed_microseconds = 1000;

/* What lies between any two events. */
void stub_set_elapsed(int microseconds) { elapsed_microseconds = microseconds; }

int cuEventElapsedTime(float *milliseconds, void *start, void *end) {
    (void)start;
    (void)end;
    BEGIN("cuEventElapsedTime", 1, "cuEventElapsedTime")
    *milliseconds = (float)elapsed_microseconds / 1000;
    END
}

int cuEventDestroy_v2(void *event) {
    BEGIN("cuEventDestroy", 1, "cuEventDestroy")
    free(event);
    END
}

int cuMemGetInfo_v2(size_t *unused, size_t *total) {
    BEGIN("cuMemGetInfo", 1, "cuMemGetInfo")
    *unused = (size_t)16 << 20;
    *total = (size_t)32 << 20;
    END
}

int cuMemcpyDtoDAsync_v2(uint64_t target, uint64_t source, size_t bytes, void *stream) {
    BEGIN("cuMemcpyDtoDAsync", 1, "cuMemcpyDtoDAsync %zu stream %p", bytes, stream)
    memcpy((void *)(uintptr_t)target, (const void *)(uintptr_t)source, bytes);
    END
}

int cuEventRecord(void *recorded, void *stream) {
    (void)recorded;
    BEGIN("cuEventRecord", 1, "cuEventRecord stream %p", stream)
    END
}

int cuEventQuery(void *recorded) {
    (void)recorded;
    BEGIN("cuEventQuery", 1, "cuEventQuery")
    result = unsafe() != 0 ? unsafe() : events_come ? 0 : 600;
    END
}

int cuEventSynchronize(void *recorded) {
    (void)recorded;
    BEGIN("cuEventSynchronize", 1, "cuEventSynchronize")
    result = unsafe();
    END
}

/* ---- what tests and benchmarks of a device ask for beside the launcher ---- */

int cuMemAlloc_v2(uint64_t *address, size_t bytes) {
    BEGIN("cuMemAlloc", 1, "cuMemAlloc %zu", bytes)
    void *memory = NULL;
    result = posix_memalign(&memory, 256, bytes) == 0 ? 0 : 2;
    *address = (uint64_t)(uintptr_t)memory;
    if (result == 0 && memory_hook != NULL) {
        memory_hook(*address, bytes);
    }
    END
}

int cuMemFree_v2(uint64_t address) {
    BEGIN("cuMemFree", 1, "cuMemFree")
    if (memory_hook != NULL) {
        memory_hook(address, 0);
    }
    free((void *)(uintptr_t)address);
    END
}

int cuStreamCreate(void **stream, unsigned flags) {
    BEGIN("cuStreamCreate", 1, "cuStreamCreate %u", flags)
    *stream = malloc(1);
    END
}

int cuStreamDestroy_v2(void *stream) {
    BEGIN("cuStreamDestroy", 1, "cuStreamDestroy")
    free(stream);
    END
}

int cuStreamSynchronize(void *stream) {
    BEGIN("cuStreamSynchronize", 1, "cuStreamSynchronize %p", stream)
    result = is_captured(stream) ? 900 : 0;
    END
}

int cuStreamBeginCapture_v2(void *stream, int mode) {
    BEGIN("cuStreamBeginCapture", 1, "cuStreamBeginCapture %d", mode)
    captured_stream = stream;
    captured.count = 0;
    END
}

int cuStreamEndCapture(void *stream, graph **made) {
    BEGIN("cuStreamEndCapture", 1, "cuStreamEndCapture")
    if (!is_captured(stream)) {
        result = 1;
    } else {
        *made = malloc(sizeof **made);
        **made = captured;
        captured.nodes = NULL;
        captured.count = 0;
        captured_stream = NULL;
    }
    END
}

/* An executable graph is the graph: who destroys both destroys it once. */
int cuGraphInstantiateWithFlags(graph **executable, graph *source, unsigned long long flags) {
    BEGIN("cuGraphInstantiate", 1, "cuGraphInstantiate %llu", flags)
    *executable = source;
    END
}

int cuGraphLaunch(graph *executable, void *stream) {
    BEGIN("cuGraphLaunch", 1, "cuGraphLaunch of %d stream %p", executable->count, stream)
    }
    pthread_mutex_unlock(&gate);
    for (int i = 0; result == 0 && i < executable->count; i++) {
        node *step = &executable->nodes[i];
        if (step->function == NULL) {
            set_bytes(step->target, step->value, step->count);
        } else if (launch_hook != NULL) {
            result = launch_hook(step->function->name, step->grid, step->threads, step->shared, step->parameters, step->bytes);
        }
    }
    return result;
}

int cuGraphExecDestroy(graph *executable) {
    (void)executable;
    return 0;
}

int cuGraphDestroy(graph *made) {
    free(made->nodes);
    free(made);
    return 0;
}
