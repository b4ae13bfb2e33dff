/* mixer_attention.h: causal softmax attention with a key-value cache. */
#ifndef MIXER_MIXER_ATTENTION_H
#define MIXER_MIXER_ATTENTION_H

#include "mixer/mixer.h"

extern const mixer_kind mixer_attention;

#endif
