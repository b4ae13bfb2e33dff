/* example_train.c: trains a tiny model for a few steps, saves it, and draws bytes from it.
 *
 *     example-train FILE CHECKPOINT
 *
 * Run twice, it writes the same checkpoint, to the bit, on any number of threads. */
#include <stdio.h>

#include "octet/octet.h"

#define STEPS 200

/* Patches of 4 bytes: a global model of width 64 runs over patches, a local one of width 32 over
 * the bytes in a patch. Keys that are left out have defaults. */
static const char config[] = "{\"context\": 128, \"levels\": ["
                             "{\"dim\": 64, \"layers\": 2, \"heads\": 2, \"patch\": 4},"
                             "{\"dim\": 32, \"layers\": 1, \"heads\": 2}]}";

static octet_status train(octet_runtime *runtime, const char *file, const char *checkpoint,
                          octet_error *error) {
    octet_bytes text = {0};
    octet_trainer *trainer = NULL;
    octet_status status = octet_bytes_open(&text, file, error);
    if (!status) /* batches of 8 windows, seed 1 */
        status = octet_trainer_create(&trainer, runtime, config, text.data, text.size, 8, STEPS, 1,
                                      error);
    for (int step = 0; step < STEPS && !status; step++) {
        double bpb;
        status = octet_trainer_step(trainer, &bpb, error);
        if (!status && step % 20 == 0)
            printf("step %3d: %.3f bits per byte\n", step, bpb);
    }
    if (!status)
        status = octet_trainer_save(trainer, checkpoint, error);
    octet_trainer_destroy(&trainer);
    octet_bytes_close(&text); /* the trainer reads it: close it last */
    return status;
}

static octet_status sample(octet_runtime *runtime, const char *checkpoint, octet_error *error) {
    octet_model *model = NULL;
    octet_session *session = NULL;
    octet_sampling sampling = {.temperature = 0.7f};
    int stream = 0;
    octet_status status = octet_model_open(&model, runtime, checkpoint, error);
    if (!status)
        status = octet_session_create(&session, model, NULL, error);
    if (!status)
        status = octet_session_join(session, &stream, error);
    for (int i = 0; i < 200 && !status; i++) {
        uint8_t byte;
        status = octet_session_sample(session, stream, &sampling, &byte, error);
        octet_feed feed = {.stream = stream, .bytes = &byte, .n = 1};
        if (!status && putchar(byte) != EOF)
            status = octet_session_feed(session, &feed, 1, error);
    }
    putchar('\n');
    octet_session_destroy(&session);
    octet_model_destroy(&model);
    return status;
}

int main(int argc, char **argv) {
    octet_error error = {0};
    octet_runtime *runtime = NULL;
    if (argc != 3) {
        fprintf(stderr, "usage: example-train FILE CHECKPOINT\n");
        return OCTET_ERROR;
    }
    octet_status status = octet_runtime_create(&runtime, NULL, &error);
    if (!status)
        status = train(runtime, argv[1], argv[2], &error);
    if (!status)
        status = sample(runtime, argv[2], &error);
    if (status)
        fprintf(stderr, "example-train: %s\n", error.text);
    octet_runtime_destroy(&runtime);
    return (int)status;
}
