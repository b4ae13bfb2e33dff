/* mixer.c: the registry. */
#include "mixer/mixer.h"

#include <string.h>

#include "mixer/mixer_attention.h"

static const mixer_kind *const kinds[] = {
    &mixer_attention,
};

const mixer_kind *mixer_find(const char *name) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i]->name, name))
            return kinds[i];
    return NULL;
}
