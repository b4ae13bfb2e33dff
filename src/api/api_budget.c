/* api_budget.c: octet/budget.h. */
#include <string.h>

#include "model/presets.h"
#include "train/cost.h"

_Static_assert(OCTET_PRESET_TEXT == PRESET_TEXT, "a preset's text fits");

octet_status octet_budget_get(octet_budget *out, const char *json, const char *name,
                              octet_error *error) {
    config c;
    octet_error inner = {0};
    octet_status status = config_parse(&c, json, strlen(json), name, error);
    if (status)
        return status;
    status = cost_of(out, &c, &inner);
    return status ? error_set(error, status, "%s: %s", name, inner.text) : OCTET_OK;
}

void octet_presets_list(void (*visit)(void *context, const char *name, const char *about),
                        void *context) {
    const char *name, *about;
    for (int i = 0; (name = preset_name(i, &about)); i++)
        visit(context, name, about);
}

octet_status octet_preset_get(char out[OCTET_PRESET_TEXT], const char *name, octet_error *error) {
    return preset_text(out, name, error);
}
