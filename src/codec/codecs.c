/* codecs.c: see codecs.h. One line for each codec. */
#include "codec/codecs.h"

#include <string.h>

static const codec codec_raw = {.name = "raw", .about = "any bytes, as they are"};
static const codec codec_text = {.name = "text", .about = "the same: text is its bytes"};

static const codec *const codecs[] = {&codec_raw,    &codec_text,  &codec_pcm16,  &codec_pcm8,
                                      &codec_mulaw8, &codec_image, &codec_records};

#define N_CODECS ((int)(sizeof codecs / sizeof *codecs))

const codec *codec_at(int index) {
    return index >= 0 && index < N_CODECS ? codecs[index] : NULL;
}

const codec *codec_find(const char *name) {
    for (int i = 0; i < N_CODECS; i++) {
        if (strcmp(codecs[i]->name, name) == 0) {
            return codecs[i];
        }
    }
    return NULL;
}

octet_status codec_get(const codec **out, const char *name, octet_error *error) {
    char names[128] = "";
    for (int i = 0; i < N_CODECS; i++) {
        strcat(names, i == 0 ? "" : i + 1 < N_CODECS ? ", " : " or ");
        strcat(names, codecs[i]->name);
    }
    *out = codec_find(name);
    return *out != NULL ? OCTET_OK
                        : error_set(error, OCTET_ERROR, "no codec \"%s\": %s", name, names);
}
