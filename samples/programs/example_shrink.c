/* example_shrink.c: stores a model's weights as bf16, half the size of f32.
 *
 *     example-shrink MODEL OUT.safetensors
 *
 * bf16 keeps the upper half of every float, rounded. Weights are widened again, exactly, when the
 * file is opened, so the smaller model has its own fingerprint and its own, reproducible, results.
 * The bundled models were made this way. */
#include <stdio.h>

#include "octet/octet.h"

int main(int argc, char **argv) {
    octet_runtime *runtime = NULL;
    octet_model *model = NULL;
    octet_error error = {0};
    if (argc != 3) {
        fprintf(stderr, "usage: example-shrink MODEL OUT.safetensors\n");
        return 1;
    }
    octet_status status = octet_runtime_create(&runtime, NULL, &error);
    if (!status)
        status = octet_model_open(&model, runtime, argv[1], &error);
    if (!status)
        status = octet_model_save(model, argv[2], 1, &error);
    if (status)
        fprintf(stderr, "example-shrink: %s\n", error.text);
    octet_model_destroy(&model);
    octet_runtime_destroy(&runtime);
    return status;
}
