/* octet.h: the whole public interface.
 *
 * A runtime is a device with its threads. A model is weights on a runtime. A session is one
 * timeline of one or more streams that read and predict bytes. Score and train are built on those.
 * Everything the program `octet` does goes through these headers. The library never prints, exits
 * or aborts. */
#ifndef OCTET_OCTET_H
#define OCTET_OCTET_H

#include "octet/bench.h"
#include "octet/budget.h"
#include "octet/codec.h"
#include "octet/compress.h"
#include "octet/continue.h"
#include "octet/import.h"
#include "octet/model.h"
#include "octet/plot.h"
#include "octet/runtime.h"
#include "octet/score.h"
#include "octet/session.h"
#include "octet/status.h"
#include "octet/train.h"

#define OCTET_VERSION "0.1.0"

#endif
