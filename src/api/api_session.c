/* api_session.c: octet/session.h and octet/score.h. */
#include <stdlib.h>

#include "api/api.h"
#include "base/file.h"
#include "eval/positions.h"
#include "eval/score_windows.h"
#include "infer/session_core.h"
#include "infer/utf8_states.h"

struct octet_session {
    session *core;
    model model; /* the core's */
};

octet_status octet_session_create(octet_session **out, octet_model *m,
                                  const octet_session_params *p, octet_error *error) {
    *out = NULL;
    octet_session *s = calloc(1, sizeof *s);
    if (!s)
        return error_memory(error, "session", sizeof *s);
    octet_status status = api_model_profile(&s->model, m, p ? p->profile : OCTET_F32, error);
    if (!status)
        status = session_create(&s->core, &s->model, p ? p->streams : 1, p ? p->keep : -1, error);
    if (status)
        free(s);
    else
        *out = s;
    return status;
}

void octet_session_destroy(octet_session **s) {
    if (!s || !*s)
        return;
    session_destroy(&(*s)->core);
    free(*s);
    *s = NULL;
}

octet_status octet_session_join(octet_session *s, int *stream, octet_error *error) {
    return session_join(s->core, stream, error);
}

octet_status octet_session_leave(octet_session *s, int stream, octet_error *error) {
    return session_leave(s->core, stream, error);
}

octet_status octet_session_feed(octet_session *s, const octet_feed *feeds, int n_feeds,
                                octet_error *error) {
    return session_feed(s->core, feeds, n_feeds, error);
}

octet_status octet_session_logits(octet_session *s, int stream, const float **logits,
                                  octet_error *error) {
    return session_logits(s->core, stream, logits, error);
}

int64_t octet_session_position(const octet_session *s, int stream) {
    return session_position(s->core, stream);
}

octet_status octet_session_sample(octet_session *s, int stream, const octet_sampling *sampling,
                                  uint8_t *byte, octet_error *error) {
    return session_sample(s->core, stream, sampling, byte, error);
}

int octet_utf8_push(octet_utf8 *state, uint8_t byte) {
    return utf8_push(state, byte);
}

int octet_utf8_allow(const octet_utf8 *state, int64_t left, uint8_t allowed[OCTET_SYMBOLS]) {
    return utf8_allow(state, left, allowed);
}

size_t octet_session_save_bytes(const octet_session *s) {
    return session_save_bytes(s->core);
}

octet_status octet_session_save(octet_session *s, int stream, void *data, size_t size,
                                octet_error *error) {
    return session_save(s->core, stream, data, size, error);
}

octet_status octet_session_restore(octet_session *s, int stream, const void *data, size_t size,
                                   octet_error *error) {
    return session_restore(s->core, stream, data, size, error);
}

octet_status octet_score(octet_model *m, const uint8_t *bytes, size_t n,
                         const octet_score_params *p, double *bits, octet_error *error) {
    model used;
    octet_status status = api_model_profile(&used, m, p ? p->profile : OCTET_F32, error);
    return status ? status : score_windows(&used, bytes, n, p, bits, error);
}

void octet_positions_add(octet_positions *to, int64_t offset, const float *bits, size_t n) {
    positions_add(to, offset, bits, n);
}

octet_status octet_positions_draw(const octet_positions *outer, const octet_positions *inner,
                                  const char *path, octet_error *error) {
    return positions_draw(outer, inner, path, error);
}

octet_status octet_bytes_open(octet_bytes *out, const char *path, octet_error *error) {
    *out = (octet_bytes){NULL, 0, NULL};
    file_bytes *f = calloc(1, sizeof *f);
    if (!f)
        return error_memory(error, path, sizeof *f);
    octet_status status = file_open(f, path, SIZE_MAX / 2, error);
    if (status) {
        free(f);
        return status;
    }
    *out = (octet_bytes){f->data, f->size, f};
    return OCTET_OK;
}

void octet_bytes_close(octet_bytes *bytes) {
    if (bytes->private_state) {
        file_close(bytes->private_state);
        free(bytes->private_state);
    }
    *bytes = (octet_bytes){NULL, 0, NULL};
}
