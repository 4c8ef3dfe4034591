/*
 * The few functions of ONNX Runtime's C API that the programs here call, by their places in its table. The places never change between releases; these exist in
 * every one from 1.18 on. A program of your own may include onnxruntime_c_api.h instead.
 */
#ifndef ORT_MINIMAL_H
#define ORT_MINIMAL_H

#include <stddef.h>
#include <stdint.h>

#define ORT_API_VERSION 18

typedef struct OrtStatus OrtStatus; /* null: success; otherwise the caller releases it */
typedef struct OrtEnv OrtEnv;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtSession OrtSession;
typedef struct OrtValue OrtValue;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtAllocator OrtAllocator;
typedef struct OrtTypeInfo OrtTypeInfo;
typedef struct OrtTensorTypeAndShapeInfo OrtTensorTypeAndShapeInfo;

typedef void (*ort_function)(void);
typedef struct OrtApi {
    ort_function slot[276];
} OrtApi;
typedef struct OrtApiBase {
    const OrtApi *(*GetApi)(uint32_t version);
    const char *(*GetVersionString)(void);
} OrtApiBase;

enum { ORT_FLOAT = 1, ORT_INT64 = 7 };
enum { ORT_LOG_ERROR = 3 };

#define ORT_CALL(slot_number, ...) ((OrtStatus * (*)(__VA_ARGS__)) api->slot[slot_number])
#define ORT_RELEASE(slot_number, type) ((void (*)(type *))api->slot[slot_number])

/* Each takes "const OrtApi *api" from where it is used. */
#define ort_error_message ((const char *(*)(const OrtStatus *))api->slot[2])
#define ort_create_env ORT_CALL(3, int, const char *, OrtEnv **)
#define ort_create_session ORT_CALL(7, const OrtEnv *, const char *, const OrtSessionOptions *, OrtSession **)
#define ort_run ORT_CALL(9, OrtSession *, const void *, const char *const *, const OrtValue *const *, size_t, const char *const *, size_t, OrtValue **)
#define ort_create_session_options ORT_CALL(10, OrtSessionOptions **)
#define ort_set_intra_op_threads ORT_CALL(24, OrtSessionOptions *, int)
#define ort_input_count ORT_CALL(30, const OrtSession *, size_t *)
#define ort_input_type_info ORT_CALL(33, const OrtSession *, size_t, OrtTypeInfo **)
#define ort_input_name ORT_CALL(36, const OrtSession *, size_t, OrtAllocator *, char **)
#define ort_create_tensor_with_data ORT_CALL(49, const OrtMemoryInfo *, void *, size_t, const int64_t *, size_t, int, OrtValue **)
#define ort_tensor_data ORT_CALL(51, OrtValue *, void **)
#define ort_cast_to_tensor_info ORT_CALL(55, const OrtTypeInfo *, const OrtTensorTypeAndShapeInfo **)
#define ort_element_type ORT_CALL(60, const OrtTensorTypeAndShapeInfo *, int *)
#define ort_dimension_count ORT_CALL(61, const OrtTensorTypeAndShapeInfo *, size_t *)
#define ort_dimensions ORT_CALL(62, const OrtTensorTypeAndShapeInfo *, int64_t *, size_t)
#define ort_element_count ORT_CALL(64, const OrtTensorTypeAndShapeInfo *, size_t *)
#define ort_tensor_info ORT_CALL(65, const OrtValue *, OrtTensorTypeAndShapeInfo **)
#define ort_create_cpu_memory_info ORT_CALL(69, int, int, OrtMemoryInfo **)
#define ort_allocator_free ORT_CALL(76, OrtAllocator *, void *)
#define ort_default_allocator ORT_CALL(78, OrtAllocator **)
#define ort_add_session_config_entry ORT_CALL(130, OrtSessionOptions *, const char *, const char *)
#define ort_register_custom_ops_library ORT_CALL(228, OrtSessionOptions *, const char *)
#define ort_release_env ORT_RELEASE(92, OrtEnv)
#define ort_release_status ORT_RELEASE(93, OrtStatus)
#define ort_release_memory_info ORT_RELEASE(94, OrtMemoryInfo)
#define ort_release_session ORT_RELEASE(95, OrtSession)
#define ort_release_value ORT_RELEASE(96, OrtValue)
#define ort_release_type_info ORT_RELEASE(98, OrtTypeInfo)
#define ort_release_tensor_info ORT_RELEASE(99, OrtTensorTypeAndShapeInfo)
#define ort_release_session_options ORT_RELEASE(100, OrtSessionOptions)

#endif
