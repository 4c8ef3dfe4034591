/* Loads and unloads the library in a loop, before and after its first use. reload libattention_kernels.so */
#include "attention_kernels.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc != 2) {
        return 2;
    }
    attention_kernels_scope first = 0;
    for (int i = 0; i < 1000; i++) {
        void *library = dlopen(argv[1], i % 2 == 0 ? RTLD_NOW : RTLD_LAZY);
        if (library == NULL) {
            fprintf(stderr, "%s\n", dlerror());
            return 1;
        }
        void *create = dlsym(library, "attention_kernels_scope_create"), *destroy = dlsym(library, "attention_kernels_scope_destroy");
        __typeof__(attention_kernels_scope_create) *create_scope;
        __typeof__(attention_kernels_scope_destroy) *destroy_scope;
        memcpy(&create_scope, &create, sizeof create);
        memcpy(&destroy_scope, &destroy, sizeof destroy);
        attention_kernels_scope scope;
        if (i >= 500 && (create_scope(i == 500 ? &first : &scope) != 0 || (i > 500 && destroy_scope(scope) != 0) || (i == 999 && destroy_scope(first) != 0))) {
            fprintf(stderr, "a scope could not be made or destroyed in round %d\n", i);
            return 1;
        }
        dlclose(library);
    }
    return 0;
}
