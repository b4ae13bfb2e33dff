/* example_stream.c: goes on from a prompt and prints each byte as it is drawn.
 *
 *     example-stream MODEL PROMPT [BYTES]
 *
 * The whole of generating is a loop of two calls: sample draws a byte, feed appends it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "octet/octet.h"

/* Prints up to `bytes` bytes that follow what the stream has read. */
static octet_status stream_on(octet_session *session, int stream, long bytes, octet_error *error) {
    octet_sampling sampling = {.temperature = 0.8f, .top_p = 0.95f, .seed = 1};
    octet_status status = OCTET_OK;
    for (long i = 0; i < bytes && !status; i++) {
        uint8_t byte;
        status = octet_session_sample(session, stream, &sampling, &byte, error);
        if (status)
            break; /* also when the model ends the stream */
        putchar(byte);
        fflush(stdout);
        octet_feed feed = {.stream = stream, .bytes = &byte, .n = 1};
        status = octet_session_feed(session, &feed, 1, error);
    }
    putchar('\n');
    return status == OCTET_END ? OCTET_OK : status;
}

int main(int argc, char **argv) {
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: example-stream MODEL PROMPT [BYTES]\n");
        return OCTET_ERROR;
    }
    octet_error error = {0};
    octet_runtime *runtime = NULL;
    octet_model *model = NULL;
    octet_session *session = NULL;
    int stream = 0;

    octet_status status = octet_runtime_create(&runtime, NULL, &error);
    if (!status)
        status = octet_model_open(&model, runtime, argv[1], &error);
    /* A session holds streams; one is the default. It takes all its memory here. */
    if (!status)
        status = octet_session_create(&session, model, NULL, &error);
    if (!status)
        status = octet_session_join(session, &stream, &error);
    if (!status) {
        octet_feed prompt = {
            .stream = stream, .bytes = (const uint8_t *)argv[2], .n = strlen(argv[2])};
        status = octet_session_feed(session, &prompt, 1, &error);
    }
    if (!status) {
        fputs(argv[2], stdout);
        status = stream_on(session, stream, argc > 3 ? strtol(argv[3], NULL, 10) : 300, &error);
    }
    if (status)
        fprintf(stderr, "example-stream: %s\n", error.text);

    octet_session_destroy(&session);
    octet_model_destroy(&model);
    octet_runtime_destroy(&runtime);
    return (int)status;
}
