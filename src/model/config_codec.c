/* config_codec.c: the codec of a configuration: its keys and no other codec's, and patches that
 * hold whole frames, pixels or blocks. Other keys are checked in config_check.c. */
#include <inttypes.h>

#include "model/config_check.h"

/* Keys that belong to other codecs. */
static octet_status check_codec_keys(const config *c, const char *name, octet_error *error) {
    const int is_audio = c->codec != CODEC_RAW && c->codec < CODEC_IMAGE;
    const int is_image = c->codec == CODEC_IMAGE, is_records = c->codec == CODEC_RECORDS;
    const char *codec = c->codec == CODEC_RAW ? "raw" : config_codec_name(c);
    if (!is_audio && (c->rate_hz || (c->channels && !is_image)))
        return error_set(error, OCTET_ERROR,
                         "%s: rate_hz %" PRId64 ", channels %" PRId64 ": codec \"%s\" has %s", name,
                         c->rate_hz, c->channels, codec, is_image ? "no rate" : "neither");
    if (!is_image && (c->image_width || c->image_height || c->image_block != 1))
        return error_set(error, OCTET_ERROR,
                         "%s: image_width %" PRId64 ", image_height %" PRId64
                         ", image_block %" PRId64 ": codec \"%s\" has none of them",
                         name, c->image_width, c->image_height, c->image_block, codec);
    if (!is_records && (c->record_bytes || c->record_filler))
        return error_set(error, OCTET_ERROR,
                         "%s: record_bytes %" PRId64 ", record_filler %" PRId64
                         ": codec \"%s\" has neither",
                         name, c->record_bytes, c->record_filler, codec);
    return OCTET_OK;
}

/* The bytes of a frame or pixel: windows begin with whole ones. */
static octet_status check_frame(const config *c, int64_t frame, const char *what, const char *name,
                                octet_error *error) {
    int64_t unit = config_unit_bytes(c, 0);
    if (unit > 1 ? unit % frame == 0 : c->context % frame == 0 && c->keep % frame == 0)
        return OCTET_OK;
    return error_set(error, OCTET_ERROR,
                     "%s: channels: a %s of %" PRId64 " bytes does not divide %s %" PRId64, name,
                     what, frame, unit > 1 ? "the outermost patch of" : "context and keep,",
                     unit > 1 ? unit : c->context);
}

static int64_t frame_bytes(const config *c) {
    return c->channels * (c->codec == CODEC_PCM16 ? 2 : 1);
}

static octet_status check_audio(const config *c, const char *name, octet_error *error) {
    if (c->rate_hz < 1000 || c->channels < 1)
        return error_set(error, OCTET_ERROR,
                         "%s: rate_hz %" PRId64 ", channels %" PRId64
                         ": codec \"%s\" needs 1000 to 384000 and 1 to 8",
                         name, c->rate_hz, c->channels, config_codec_name(c));
    return check_frame(c, frame_bytes(c), "frame", name, error);
}

static octet_status check_image(const config *c, const char *name, octet_error *error) {
    int64_t unit = config_unit_bytes(c, 0), side = c->image_block;
    int64_t block_bytes = side * side * c->channels;
    if (!c->image_width || !c->image_height || (c->channels != 1 && c->channels != 3))
        return error_set(error, OCTET_ERROR,
                         "%s: image_width %" PRId64 ", image_height %" PRId64 ", channels %" PRId64
                         ": codec \"image\" needs a width, a height, and 1 or 3 channels",
                         name, c->image_width, c->image_height, c->channels);
    if (c->image_width % side || c->image_height % side)
        return error_set(error, OCTET_ERROR,
                         "%s: image_block: %" PRId64 " does not divide %" PRId64 " x %" PRId64
                         " pixels",
                         name, side, c->image_width, c->image_height);
    if (side > 1 && block_bytes % unit && unit % block_bytes)
        return error_set(error, OCTET_ERROR,
                         "%s: image_block: blocks of %" PRId64
                         " bytes are no whole patches of %" PRId64 ", nor those whole blocks",
                         name, block_bytes, unit);
    return check_frame(c, c->channels, "pixel", name, error);
}

static octet_status check_records(const config *c, const char *name, octet_error *error) {
    int64_t unit = config_unit_bytes(c, 0);
    if (!c->record_bytes || unit > UINT16_MAX)
        return error_set(error, OCTET_ERROR,
                         "%s: record_bytes %" PRId64 ", an outermost patch of %" PRId64
                         " bytes: codec \"records\" needs 1 to 16777216 and at most 65535",
                         name, c->record_bytes, unit);
    return OCTET_OK;
}

octet_status config_check_codec(const config *c, const char *name, octet_error *error) {
    octet_status status = check_codec_keys(c, name, error);
    if (status || c->codec == CODEC_RAW)
        return status;
    return c->codec == CODEC_IMAGE     ? check_image(c, name, error)
           : c->codec == CODEC_RECORDS ? check_records(c, name, error)
                                       : check_audio(c, name, error);
}

int64_t config_window_step(const config *c) {
    if (c->codec == CODEC_RAW)
        return 1;
    return c->codec == CODEC_IMAGE || c->codec == CODEC_RECORDS ? config_unit_bytes(c, 0)
                                                                : frame_bytes(c);
}
