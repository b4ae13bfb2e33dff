/* mixer.c: the registry. */
#include "mixer/mixer.h"

#include "mixer/mixer_attention.h"

static const mixer_kind *const kinds[] = {
    &mixer_attention,
};

const mixer_kind *mixer_at(int index) {
    return index >= 0 && index < (int)(sizeof kinds / sizeof *kinds) ? kinds[index] : NULL;
}
