/* model_dirs.h: where an installed program keeps its bundled models; set by the build. */
#ifndef API_MODEL_DIRS_H
#define API_MODEL_DIRS_H

#ifndef OCTET_MODELS_DIRECTORY
#define OCTET_MODELS_DIRECTORY "/usr/local/share/octet/models"
#endif

#endif
