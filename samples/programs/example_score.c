/* example_score.c: what a file costs under a model, in bits per byte.
 *
 *     example-score MODEL FILE
 *
 * MODEL is a checkpoint, the directory of a run, or the name of a bundled model. */
#include <stdio.h>

#include "octet/octet.h"

/* Called for every stretch of bytes that has been scored: keeps the most surprising byte. */
typedef struct surprise {
    long long offset;
    float bits;
} surprise;

static int visit(void *context, int64_t offset, const uint8_t *bytes, const float *bits, size_t n) {
    surprise *worst = context;
    (void)bytes;
    for (size_t i = 0; i < n; i++)
        if (bits[i] > worst->bits)
            *worst = (surprise){(long long)offset + (long long)i, bits[i]};
    return 0; /* go on */
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: example-score MODEL FILE\n");
        return OCTET_ERROR;
    }
    octet_error error = {0}; /* one line of text when something fails */
    octet_runtime *runtime = NULL;
    octet_model *model = NULL;
    octet_bytes file = {0};
    surprise worst = {0, -1};
    double bits = 0;

    /* A runtime is the device, a model is weights on it. NULL takes all defaults. */
    octet_status status = octet_runtime_create(&runtime, NULL, &error);
    if (!status)
        status = octet_model_open(&model, runtime, argv[1], &error);
    if (!status)
        status = octet_bytes_open(&file, argv[2], &error);
    if (!status) {
        octet_score_params params = {.keep = -1, .visit = visit, .context = &worst};
        status = octet_score(model, file.data, file.size, &params, &bits, &error);
    }
    if (!status && file.size > 0) {
        printf("%zu bytes, %.1f bits, %.4f bits per byte\n", file.size, bits,
               bits / (double)file.size);
        printf("most surprising: byte %lld, %.2f bits\n", worst.offset, (double)worst.bits);
    }
    if (status)
        fprintf(stderr, "example-score: %s\n", error.text);

    /* In reverse order; all of these accept what was never made. */
    octet_bytes_close(&file);
    octet_model_destroy(&model);
    octet_runtime_destroy(&runtime);
    return (int)status;
}
