/*
 * Registers the library with a session and prints what becomes of the model's GroupQueryAttention: "overridden" if it followed a scope, "built-in" if not, or the text of
 * the error with which the library refuses.
 *
 *   choice libonnxruntime.so.1 libattention_kernels.so model.onnx [session configuration entry]
 */
#include "clip.h"
#include "decoder.h"
#include "expect.h"

#include <stdlib.h>

int main(int argc, char **argv)
{
    if (argc != 4 && argc != 5) {
        return 2;
    }
    runtime ort;
    runtime_open(&ort, argv[1]);
    const OrtApi *api = ort.api;
    OrtSessionOptions *options;
    check(&ort, ort_create_session_options(&options));
    if (argc == 5) {
        check(&ort, ort_add_session_config_entry(options, "attention_kernels.override", argv[4]));
    }
    OrtStatus *refused = RegisterCustomOps(options, ort.base);
    if (refused != NULL) {
        printf("%s\n", ort_error_message(refused));
        EXPECT(strstr(ort_error_message(refused), attention_kernels_last_error()) != NULL);
        ort_release_status(refused);
        refused = RegisterCustomOps(NULL, ort.base);
        EXPECT(refused != NULL && strstr(ort_error_message(refused), "OrtSessionOptions is null") != NULL);
        ort_release_status(refused);
        ort_release_session_options(options);
        runtime_close(&ort);
        return failures;
    }
    refused = RegisterCustomOps(options, ort.base);
    EXPECT(refused != NULL && strstr(ort_error_message(refused), "register once") != NULL);
    ort_release_status(refused);

    decoder decoder;
    clip clip;
    attention_kernels_roles roles = clip_roles(&clip);
    attention_kernels_scope scope;
    size_t count;
    decoder_open_with(&decoder, &ort, options, argv[3], CLIP_TOKENS);
    EXPECT_OK(attention_kernels_scope_create(&scope));
    EXPECT_OK(attention_kernels_scope_set_roles(scope, &roles));
    EXPECT_OK(attention_kernels_scope_begin(scope));
    free(decoder_run(&decoder, &count));
    printf("%s\n", attention_kernels_scope_end(scope) == ATTENTION_KERNELS_OK ? "overridden" : "built-in");
    EXPECT_OK(attention_kernels_scope_destroy(scope));
    decoder_close(&decoder);
    runtime_close(&ort);
    return failures;
}
