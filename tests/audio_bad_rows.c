/* audio_bad_rows.c: the corpus of audio_bad.h. "OK" rows are odd and must be read all the same. */
#include "audio_bad.h"

#define CORRUPT OCTET_CORRUPT
#define OK OCTET_OK

#define NUMBER(name, base, edit, anchor, delta, n, number, status, says)                           \
    { name, base, edit, anchor, delta, n, number, NULL, status, says }
#define BYTES(name, base, edit, anchor, delta, text, status, says)                                 \
    { name, base, edit, anchor, delta, sizeof text - 1, 0, text, status, says }
#define KEEP(name, base, number, status, says)                                                     \
    { name, base, DAMAGE_KEEP, NULL, 0, 0, number, NULL, status, says }
#define ONLY(name, text, says)                                                                     \
    { name, BASE_NONE, DAMAGE_INSERT, NULL, 0, sizeof text - 1, 0, text, CORRUPT, says }

/* Every format: as it is; cut behind its signature, in the middle, by one byte. */
#define FORMAT(name, base, cut12, cut_half, cut1)                                                  \
    KEEP(name, base, INT32_MAX_SIZE, OK, ""), KEEP(name ": 12 bytes", base, 12, CORRUPT, cut12),   \
        {name ": half", base, DAMAGE_HALF, NULL, 0, 0, 0, NULL, CORRUPT, cut_half},                \
        KEEP(name ": one byte short", base, -1, CORRUPT, cut1)
#define INT32_MAX_SIZE 0x7fffffff

/* Fields of the chunk "fmt ", of 16-bit WAV. */
#define WAV_TAG(name, number, says)                                                                \
    NUMBER(name, BASE_WAV_S16, DAMAGE_LITTLE, "fmt ", 8, 2, number, CORRUPT, says)
#define WAV_CHANNELS(name, number, says)                                                           \
    NUMBER(name, BASE_WAV_S16, DAMAGE_LITTLE, "fmt ", 10, 2, number, CORRUPT, says)
#define WAV_RATE(name, number, status, says)                                                       \
    NUMBER(name, BASE_WAV_S16, DAMAGE_LITTLE, "fmt ", 12, 4, number, status, says)
#define WAV_DATA(name, number, status, says)                                                       \
    NUMBER(name, BASE_WAV_S16, DAMAGE_LITTLE, "data", 4, 4, number, status, says)
#define AIFF(name, anchor, delta, n, number, status, says)                                         \
    NUMBER(name, BASE_AIFF_S16, DAMAGE_BIG, anchor, delta, n, number, status, says)
#define AU(name, delta, number, status, says)                                                      \
    NUMBER(name, BASE_AU_S16, DAMAGE_BIG, NULL, delta, 4, number, status, says)

#define NO_AUDIO "is not audio that is read"

const audio_bad audio_bads[] = {
    /* --- every format, cut */
    FORMAT("wav u8", BASE_WAV_U8, "without \"fmt \"", "claims 6000 bytes", "5999 follow"),
    FORMAT("wav s16", BASE_WAV_S16, "without \"fmt \"", "claims 12000", "11999 follow"),
    FORMAT("wav s24", BASE_WAV_S24, "without \"fmt \"", "claims 18000", "17999 follow"),
    FORMAT("wav s32", BASE_WAV_S32, "without \"fmt \"", "claims 24000", "23999 follow"),
    FORMAT("wav f32", BASE_WAV_F32, "without \"fmt \"", "claims 24000", "23999 follow"),
    FORMAT("wav f64", BASE_WAV_F64, "without \"fmt \"", "claims 48000", "47999 follow"),
    FORMAT("wav mu-law", BASE_WAV_ULAW, "without \"fmt \"", "claims 6000", "5999 follow"),
    FORMAT("wav A-law", BASE_WAV_ALAW, "without \"fmt \"", "claims 6000", "5999 follow"),
    FORMAT("wav extensible", BASE_WAVEX, "without \"fmt \"", "claims 12000", "11999 follow"),
    FORMAT("rf64", BASE_RF64, "without \"fmt \"", "claims 12000", "11999 follow"),
    FORMAT("rifx", BASE_RIFX, "without \"fmt \"", "claims 12000", "11999 follow"),
    FORMAT("aiff s16", BASE_AIFF_S16, "without \"COMM\"", "claims 12008", "12007 follow"),
    FORMAT("aiff s24", BASE_AIFF_S24, "without \"COMM\"", "claims 18008", "18007 follow"),
    FORMAT("aifc f32", BASE_AIFC_F32, "without \"COMM\"", "claims 24008", "24007 follow"),
    FORMAT("aifc sowt", BASE_AIFC_SOWT, "without \"COMM\"", "claims 12008", "12007 follow"),
    FORMAT("au s16", BASE_AU_S16, "12 of 24 bytes", "claims 12000", "11999 follow"),
    FORMAT("au f64", BASE_AU_F64, "12 of 24 bytes", "claims 48000", "47999 follow"),
    FORMAT("au little-endian", BASE_AU_LITTLE, "12 of 24 bytes", "claims 12000", "11999 follow"),
    FORMAT("flac 16", BASE_FLAC16, "12 of 42 bytes", "x: ", "x: "),
    FORMAT("flac 24", BASE_FLAC24, "12 of 42 bytes", "x: ", "x: "),
    FORMAT("ogg", BASE_OGG, "is cut", "is cut", "is cut"),
    FORMAT("opus", BASE_OPUS, "is cut", "is cut", "is cut"),
    FORMAT("mp3", BASE_MP3, "the MP3 frame at byte 0", "the MP3 frame", "the MP3 frame"),

    /* --- WAV: what the samples are */
    WAV_TAG("wav of tag 0", 0, "format 0x0000 with 16 bits"),
    WAV_TAG("wav Microsoft ADPCM", 2, "Microsoft ADPCM"),
    WAV_TAG("wav OKI ADPCM", 0x10, "OKI ADPCM"),
    WAV_TAG("wav IMA ADPCM", 0x11, "IMA ADPCM"),
    WAV_TAG("wav VOX", 0x17, "VOX ADPCM"),
    WAV_TAG("wav Yamaha", 0x20, "Yamaha ADPCM"),
    WAV_TAG("wav GSM", 0x31, "GSM 6.10"),
    WAV_TAG("wav G.721", 0x40, "G.721"),
    WAV_TAG("wav G.726", 0x45, "G.726"),
    WAV_TAG("wav MP3", 0x55, "MP3"),
    WAV_TAG("wav WMA", 0x161, "WMA"),
    WAV_TAG("wav Vorbis", 0x674f, "Vorbis"),
    WAV_TAG("wav of tag 0xffff", 0xffff, "format 0xffff"),
    WAV_TAG("wav of 16-bit floats", 3, "format 0x0003 with 16 bits"),
    WAV_TAG("wav of 16-bit mu-law", 7, "format 0x0007 with 16 bits"),
    WAV_TAG("wav extensible, too short", 0xfffe, "has 16 bytes, it needs 40"),
    NUMBER("wav of 0 bits", BASE_WAV_S16, DAMAGE_LITTLE, "fmt ", 22, 2, 0, CORRUPT, "with 0 bits"),
    NUMBER("wav of 12 bits", BASE_WAV_S16, DAMAGE_LITTLE, "fmt ", 22, 2, 12, CORRUPT,
           "with 12 bits"),
    NUMBER("wav of 20 bits", BASE_WAV_S16, DAMAGE_LITTLE, "fmt ", 22, 2, 20, CORRUPT,
           "with 20 bits"),
    NUMBER("wav of 24 bits in 4 bytes", BASE_WAV_S16, DAMAGE_LITTLE, "fmt ", 22, 2, 24, CORRUPT,
           "2 channels of 24 bits make 6"),
    NUMBER("wav of 65535 bits", BASE_WAV_S16, DAMAGE_LITTLE, "fmt ", 22, 2, 65535, CORRUPT,
           "65535"),
    NUMBER("wav of 80-bit floats", BASE_WAV_F64, DAMAGE_LITTLE, "fmt ", 22, 2, 80, CORRUPT, "80"),
    NUMBER("wav of frames of 0", BASE_WAV_S16, DAMAGE_LITTLE, "fmt ", 20, 2, 0, CORRUPT,
           "frames of 0 bytes"),
    NUMBER("wav of frames of 3", BASE_WAV_S16, DAMAGE_LITTLE, "fmt ", 20, 2, 3, CORRUPT,
           "frames of 3 bytes"),
    NUMBER("wav of wrong bytes a second", BASE_WAV_S16, DAMAGE_LITTLE, "fmt ", 16, 4, 0, OK, ""),
    NUMBER("wav extensible of ADPCM", BASE_WAVEX, DAMAGE_LITTLE, "fmt ", 32, 2, 2, CORRUPT,
           "ADPCM"),
    NUMBER("wav extensible in itself", BASE_WAVEX, DAMAGE_LITTLE, "fmt ", 32, 2, 0xfffe, CORRUPT,
           "format 0xfffe"),
    NUMBER("wav extensible, another GUID", BASE_WAVEX, DAMAGE_LITTLE, "fmt ", 47, 1, 0, CORRUPT,
           "extended format"),

    /* --- WAV: channels and rates */
    WAV_CHANNELS("wav of 0 channels", 0, "0 channels, not between 1 and 8"),
    WAV_CHANNELS("wav of 1 channel in frames of 2", 1, "1 channels of 16 bits make 2"),
    WAV_CHANNELS("wav of 8 channels in frames of 2", 8, "8 channels of 16 bits make 16"),
    WAV_CHANNELS("wav of 9 channels", 9, "9 channels"),
    WAV_CHANNELS("wav of 65535 channels", 65535, "65535 channels"),
    WAV_RATE("wav at 0 Hz", 0, CORRUPT, "0 Hz, not between"),
    WAV_RATE("wav at 999 Hz", 999, CORRUPT, "999 Hz"),
    WAV_RATE("wav at 1000 Hz", 1000, OK, ""),
    WAV_RATE("wav at 384000 Hz", 384000, OK, ""),
    WAV_RATE("wav at 384001 Hz", 384001, CORRUPT, "384001 Hz"),
    WAV_RATE("wav at 2^31 Hz", INT64_C(1) << 31, CORRUPT, "2147483648 Hz"),
    WAV_RATE("wav at 2^32 - 1 Hz", UINT32_MAX, CORRUPT, "4294967295 Hz"),

    /* --- WAV: chunks */
    WAV_DATA("wav data 1 short", 11999, CORRUPT, "no whole number of frames of 4 bytes"),
    WAV_DATA("wav data a frame short", 11996, OK, ""),
    WAV_DATA("wav data 1 long", 12001, CORRUPT, "claims 12001 bytes, 12000 follow"),
    WAV_DATA("wav data of 2^31 - 4097", 0x7fffefff, CORRUPT, "claims 2147479551"),
    WAV_DATA("wav data of a stream", UINT32_MAX, OK, ""),
    WAV_DATA("wav data of sox's streams", 0x7ffff000, OK, ""),
    WAV_DATA("wav data of 2^31", INT64_C(1) << 31, OK, ""),
    WAV_DATA("wav data of 0, with more behind", 0, OK, ""),
    NUMBER("wav RIFF of 0", BASE_WAV_S16, DAMAGE_LITTLE, NULL, 4, 4, 0, OK, ""),
    NUMBER("wav RIFF of 2^32 - 1", BASE_WAV_S16, DAMAGE_LITTLE, NULL, 4, 4, UINT32_MAX, OK, ""),
    NUMBER("wav fmt of 0", BASE_WAV_S16, DAMAGE_LITTLE, "fmt ", 4, 4, 0, CORRUPT, "it needs 16"),
    NUMBER("wav fmt of 15", BASE_WAV_S16, DAMAGE_LITTLE, "fmt ", 4, 4, 15, CORRUPT, "it needs 16"),
    NUMBER("wav fmt of 2^32 - 1", BASE_WAV_S16, DAMAGE_LITTLE, "fmt ", 4, 4, UINT32_MAX, CORRUPT,
           "claims 4294967295 bytes"),
    NUMBER("wav fmt to the end", BASE_WAV_S16, DAMAGE_LITTLE, "fmt ", 4, 4, 12024, CORRUPT,
           "without data"),
    BYTES("wav without fmt", BASE_WAV_S16, DAMAGE_TEXT, "fmt ", 0, "junk", CORRUPT,
          "comes before \"fmt \""),
    BYTES("wav without data", BASE_WAV_S16, DAMAGE_TEXT, "data", 0, "junk", CORRUPT,
          "without data"),
    BYTES("wav with fmt twice", BASE_WAV_S16, DAMAGE_INSERT, "data", 0,
          "fmt \20\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\20\0", CORRUPT, "is the second"),
    BYTES("wav with a chunk between", BASE_WAV_S16, DAMAGE_INSERT, "data", 0, "LIST\3\0\0\0abc\0",
          OK, ""),
    BYTES("wav with a chunk of control bytes", BASE_WAV_S16, DAMAGE_INSERT, "data", 0,
          "\33[2J\377\377\0\0", CORRUPT, "\"?[2J\" at byte 36 claims 65535"),
    BYTES("wav with a chunk of 2^32 - 1", BASE_WAV_S16, DAMAGE_INSERT, "data", 0,
          "LIST\377\377\377\377", CORRUPT, "\"LIST\" at byte 36 claims 4294967295"),
    NUMBER("wav with zeros behind", BASE_WAV_S16, DAMAGE_ZEROS, NULL, 0, 0, 100, OK, ""),
    NUMBER("wav twice", BASE_WAV_S16, DAMAGE_DOUBLE, NULL, 0, 0, 0, CORRUPT, "cannot be decoded"),
    NUMBER("rf64 data of 2^63", BASE_RF64, DAMAGE_LITTLE, "ds64", 16, 8, INT64_MIN, CORRUPT,
           "claims 9223372036854775808 bytes"),
    NUMBER("rf64 data of 2^64 - 1", BASE_RF64, DAMAGE_LITTLE, "ds64", 16, 8, -1, CORRUPT,
           "claims 18446744073709551615"),
    NUMBER("rf64 data 1 long", BASE_RF64, DAMAGE_LITTLE, "ds64", 16, 8, 12001, CORRUPT, "12001"),
    NUMBER("rf64 ds64 of 8", BASE_RF64, DAMAGE_LITTLE, "ds64", 4, 4, 8, CORRUPT, "it needs 24"),
    BYTES("rf64 without ds64", BASE_RF64, DAMAGE_TEXT, "ds64", 0, "junk", CORRUPT, "not \"ds64\""),

    /* --- values */
    NUMBER("wav f32 NaN", BASE_WAV_F32, DAMAGE_LITTLE, "data", 8 + 4 * 1001, 4, 0x7fc00000, CORRUPT,
           "sample 500 of channel 1 is not a number"),
    NUMBER("wav f32 signalling NaN", BASE_WAV_F32, DAMAGE_LITTLE, "data", 8, 4, 0x7f800001, CORRUPT,
           "sample 0 of channel 0 is not a number"),
    NUMBER("wav f32 infinite", BASE_WAV_F32, DAMAGE_LITTLE, "data", 8, 4, 0x7f800000, CORRUPT,
           "is infinite"),
    NUMBER("wav f32 minus infinite", BASE_WAV_F32, DAMAGE_LITTLE, "data", 12, 4, 0xff800000,
           CORRUPT, "sample 0 of channel 1 is infinite"),
    NUMBER("wav f32 last NaN", BASE_WAV_F32, DAMAGE_LITTLE, "data", 8 + 4 * 5999, 4, 0xffc00000,
           CORRUPT, "sample 2999 of channel 1"),
    NUMBER("wav f32 largest", BASE_WAV_F32, DAMAGE_LITTLE, "data", 8, 4, 0x7f7fffff, OK, ""),
    NUMBER("wav f32 least", BASE_WAV_F32, DAMAGE_LITTLE, "data", 8, 4, 1, OK, ""),
    NUMBER("wav f64 NaN", BASE_WAV_F64, DAMAGE_LITTLE, "data", 8, 8, 0x7ff8000000000000, CORRUPT,
           "is not a number"),
    NUMBER("wav f64 infinite", BASE_WAV_F64, DAMAGE_LITTLE, "data", 8, 8, 0x7ff0000000000000,
           CORRUPT, "is infinite"),
    NUMBER("wav f64 largest", BASE_WAV_F64, DAMAGE_LITTLE, "data", 8, 8, 0x7fefffffffffffff, OK,
           ""),
    NUMBER("aifc f32 NaN", BASE_AIFC_F32, DAMAGE_BIG, "SSND", 16, 4, 0x7fc00000, CORRUPT,
           "is not a number"),
    NUMBER("au f64 NaN", BASE_AU_F64, DAMAGE_BIG, NULL, 24, 8, 0x7ff8000000000000, CORRUPT,
           "is not a number"),

    /* --- AIFF */
    AIFF("aiff of 0 channels", "COMM", 8, 2, 0, CORRUPT, "0 channels"),
    AIFF("aiff of 9 channels", "COMM", 8, 2, 9, CORRUPT, "9 channels"),
    AIFF("aiff of 65535 channels", "COMM", 8, 2, 65535, CORRUPT, "65535 channels"),
    AIFF("aiff of 1 channel", "COMM", 8, 2, 1, OK, ""),
    AIFF("aiff of a frame more", "COMM", 10, 4, 3001, CORRUPT, "3001 frames of 4 bytes"),
    AIFF("aiff of 2^32 - 1 frames", "COMM", 10, 4, UINT32_MAX, CORRUPT, "4294967295 frames"),
    AIFF("aiff of a frame less", "COMM", 10, 4, 2999, OK, ""),
    AIFF("aiff of no frames", "COMM", 10, 4, 0, OK, ""),
    AIFF("aiff of 0 bits", "COMM", 14, 2, 0, CORRUPT, "with 0 bits"),
    AIFF("aiff of 12 bits", "COMM", 14, 2, 12, CORRUPT, "with 12 bits"),
    AIFF("aiff of 40 bits", "COMM", 14, 2, 40, CORRUPT, "with 40 bits"),
    AIFF("aiff at 0 Hz", "COMM", 16, 2, 0, CORRUPT, "0 Hz"),
    AIFF("aiff at infinite Hz", "COMM", 16, 2, 0x7fff, CORRUPT, "0 Hz"),
    AIFF("aiff at negative Hz", "COMM", 16, 2, 0xc00c, CORRUPT, "0 Hz"),
    AIFF("aiff at 2^31 Hz", "COMM", 16, 2, 0x401e, CORRUPT, "0 Hz"),
    AIFF("aiff COMM of 17", "COMM", 4, 4, 17, CORRUPT, "it needs 18"),
    AIFF("aiff COMM of 2^32 - 1", "COMM", 4, 4, UINT32_MAX, CORRUPT, "claims 4294967295"),
    AIFF("aiff SSND of 7", "SSND", 4, 4, 7, CORRUPT, "it needs 8"),
    AIFF("aiff SSND 1 long", "SSND", 4, 4, 12009, CORRUPT, "claims 12009"),
    AIFF("aiff SSND from 12001 on", "SSND", 8, 4, 12001, CORRUPT, "begin at byte 12001 of 12000"),
    AIFF("aiff SSND from 2^32 - 1 on", "SSND", 8, 4, UINT32_MAX, CORRUPT, "begin at byte 429496"),
    BYTES("aiff without COMM", BASE_AIFF_S16, DAMAGE_TEXT, "COMM", 0, "junk", CORRUPT, "without"),
    BYTES("aiff without SSND", BASE_AIFF_S16, DAMAGE_TEXT, "SSND", 0, "junk", CORRUPT, "without"),
    BYTES("aiff with COMM twice", BASE_AIFF_S16, DAMAGE_INSERT, "SSND", 0,
          "COMM\0\0\0\22\0\1\0\0\0\1\0\20\100\14\372\0\0\0\0\0\0\0", CORRUPT, "is the second"),
    BYTES("aifc IMA ADPCM", BASE_AIFC_F32, DAMAGE_TEXT, "FL32", 0, "ima4", CORRUPT, "\"ima4\""),
    BYTES("aifc MACE", BASE_AIFC_F32, DAMAGE_TEXT, "FL32", 0, "MAC3", CORRUPT, "\"MAC3\""),
    BYTES("aifc GSM", BASE_AIFC_F32, DAMAGE_TEXT, "FL32", 0, "GSM ", CORRUPT, "\"GSM \""),
    BYTES("aifc of control bytes", BASE_AIFC_F32, DAMAGE_TEXT, "FL32", 0, "\33[2J", CORRUPT,
          "?[2J"),

    /* --- AU */
    AU("au of encoding 0", 12, 0, CORRUPT, "encoding 0 is not read"),
    AU("au G.721", 12, 23, CORRUPT, "encoding 23 (ADPCM)"),
    AU("au G.723", 12, 25, CORRUPT, "encoding 25 (ADPCM)"),
    AU("au of encoding 2^32 - 1", 12, UINT32_MAX, CORRUPT, "encoding 4294967295"),
    AU("au of 0 channels", 20, 0, CORRUPT, "0 channels"),
    AU("au of 8 channels", 20, 8, OK, ""),
    AU("au of 9 channels", 20, 9, CORRUPT, "9 channels"),
    AU("au of 2^31 channels", 20, INT64_C(1) << 31, CORRUPT, "2147483648 channels"),
    AU("au at 0 Hz", 16, 0, CORRUPT, "0 Hz"),
    AU("au at 2^32 - 1 Hz", 16, UINT32_MAX, CORRUPT, "4294967295 Hz"),
    AU("au from 0 on", 4, 0, CORRUPT, "begins at byte 0"),
    AU("au from 23 on", 4, 23, CORRUPT, "begins at byte 23"),
    AU("au from 2^32 - 1 on", 4, UINT32_MAX, CORRUPT, "begins at byte 4294967295"),
    AU("au 1 short", 8, 11999, CORRUPT, "no whole number of frames"),
    AU("au 1 long", 8, 12001, CORRUPT, "claims 12001"),
    AU("au of a stream", 8, UINT32_MAX, OK, ""),
    AU("au of nothing", 8, 0, OK, ""),

    /* --- FLAC: bytes 18 to 25 are rate (20 bits), channels - 1 (3), bits - 1 (5), frames (36) */
    NUMBER("flac of 20 bits", BASE_FLAC16, DAMAGE_BIG, NULL, 18, 8, 0x03e8033000000bb8, CORRUPT,
           "FLAC of 20 bits"),
    NUMBER("flac of 4 bits", BASE_FLAC16, DAMAGE_BIG, NULL, 18, 8, 0x03e8023000000bb8, CORRUPT,
           "FLAC of 4 bits"),
    NUMBER("flac at 0 Hz", BASE_FLAC16, DAMAGE_BIG, NULL, 18, 8, 0x000002f000000bb8, CORRUPT,
           "0 Hz"),
    NUMBER("flac at 2^20 - 1 Hz", BASE_FLAC16, DAMAGE_BIG, NULL, 18, 8, 0xfffff2f000000bb8, CORRUPT,
           "1048575 Hz"),
    NUMBER("flac of unknown frames", BASE_FLAC16, DAMAGE_BIG, NULL, 18, 8, 0x03e802f000000000, OK,
           ""),
    NUMBER("flac of a frame more", BASE_FLAC16, DAMAGE_BIG, NULL, 18, 8, 0x03e802f000000bb9,
           CORRUPT, "claims 3001"),
    NUMBER("flac of 2^36 - 1 frames", BASE_FLAC16, DAMAGE_BIG, NULL, 18, 8, 0x03e802ffffffffff,
           CORRUPT, "x: "),
    NUMBER("flac of 8 channels in 2", BASE_FLAC16, DAMAGE_BIG, NULL, 18, 8, 0x03e80ef000000bb8,
           CORRUPT, "x: "),
    NUMBER("flac without STREAMINFO", BASE_FLAC16, DAMAGE_BIG, NULL, 4, 1, 4, CORRUPT, "of type 4"),
    NUMBER("flac STREAMINFO of 33", BASE_FLAC16, DAMAGE_BIG, NULL, 5, 3, 33, CORRUPT, "33 bytes"),
    NUMBER("flac block of 2^24 - 1", BASE_FLAC16, DAMAGE_BIG, NULL, 43, 3, 0xffffff, CORRUPT,
           "x: "),
    NUMBER("flac, a frame damaged", BASE_FLAC16, DAMAGE_LITTLE, "fLaC", 9000, 4, 0x5a5a5a5a,
           CORRUPT, "x: "),

    /* --- Ogg */
    NUMBER("ogg, a page damaged", BASE_OGG, DAMAGE_LITTLE, NULL, 44, 4, 77, CORRUPT,
           "its checksum"),
    NUMBER("ogg, the last page damaged", BASE_OGG, DAMAGE_LITTLE, NULL, 5000, 4, 0x12345678,
           CORRUPT, "its checksum"),
    NUMBER("ogg twice", BASE_OGG, DAMAGE_DOUBLE, NULL, 0, 0, 0, CORRUPT, "the Ogg page at"),
    NUMBER("ogg with zeros behind", BASE_OGG, DAMAGE_ZEROS, NULL, 0, 0, 100, CORRUPT,
           "has no signature"),
    NUMBER("ogg without its first page", BASE_OGG, DAMAGE_REMOVE, NULL, 0, 58, 0, CORRUPT,
           "Ogg without Vorbis or Opus"),
    NUMBER("ogg of 0 channels", BASE_OGG, DAMAGE_PAGE, "\1vorbis", 11, 1, 0, CORRUPT, "0 channels"),
    NUMBER("ogg of 9 channels", BASE_OGG, DAMAGE_PAGE, "\1vorbis", 11, 1, 9, CORRUPT, "9 channels"),
    NUMBER("ogg of 8 channels in 2", BASE_OGG, DAMAGE_PAGE, "\1vorbis", 11, 1, 8, CORRUPT, "x: "),
    NUMBER("ogg at 0 Hz", BASE_OGG, DAMAGE_PAGE, "\1vorbis", 12, 4, 0, CORRUPT, "0 Hz"),
    NUMBER("ogg at 2^32 - 1 Hz", BASE_OGG, DAMAGE_PAGE, "\1vorbis", 12, 4, UINT32_MAX, CORRUPT,
           "4294967295 Hz"),
    NUMBER("ogg of version 1", BASE_OGG, DAMAGE_PAGE, "\1vorbis", 7, 4, 1, CORRUPT, "x: "),
    NUMBER("ogg Speex", BASE_OGG, DAMAGE_PAGE, "\1vorbis", 0, 8, 0x2020207865657053, CORRUPT,
           "(Speex)"),
    NUMBER("ogg FLAC", BASE_OGG, DAMAGE_PAGE, "\1vorbis", 0, 5, 0x43414c467f, CORRUPT, "(FLAC)"),
    NUMBER("ogg Theora", BASE_OGG, DAMAGE_PAGE, "\1vorbis", 0, 7, 0x6172656f687480, CORRUPT,
           "without Vorbis or Opus is"),
    NUMBER("opus of 0 channels", BASE_OPUS, DAMAGE_PAGE, "OpusHead", 9, 1, 0, CORRUPT,
           "0 channels"),
    NUMBER("opus of 255 channels", BASE_OPUS, DAMAGE_PAGE, "OpusHead", 9, 1, 255, CORRUPT,
           "255 channels"),
    NUMBER("opus of version 255", BASE_OPUS, DAMAGE_PAGE, "OpusHead", 8, 1, 255, CORRUPT, "x: "),
    NUMBER("opus of mapping 255", BASE_OPUS, DAMAGE_PAGE, "OpusHead", 18, 1, 255, CORRUPT, "x: "),

    /* --- MP3 */
    NUMBER("mpeg layer II", BASE_MP3, DAMAGE_BIG, NULL, 1, 1, 0xf5, CORRUPT, "layer 2 is not read"),
    NUMBER("mpeg layer I", BASE_MP3, DAMAGE_BIG, NULL, 1, 1, 0xf7, CORRUPT, "layer 1 is not read"),
    NUMBER("aac with MPEG's sync", BASE_MP3, DAMAGE_BIG, NULL, 1, 1, 0xf1, CORRUPT,
           "no MPEG audio"),
    NUMBER("mp3 of free bitrate", BASE_MP3, DAMAGE_BIG, NULL, 2, 1, 0x00, CORRUPT, "no MPEG audio"),
    NUMBER("mp3 at a rate that is none", BASE_MP3, DAMAGE_BIG, NULL, 2, 1, 0x9c, CORRUPT,
           "no MPEG audio"),
    BYTES("mp3 behind a tag", BASE_MP3, DAMAGE_INSERT, NULL, 0, "ID3\4\0\0\0\0\0\4abcd", OK, ""),
    BYTES("mp3 behind a tag of 2^28 - 1", BASE_MP3, DAMAGE_INSERT, NULL, 0,
          "ID3\4\0\0\177\177\177\177", CORRUPT, "no MPEG audio at byte 268435465"),
    ONLY("a tag alone", "ID3\4\0\0\0\0\0\0", NO_AUDIO),
    ONLY("a sync alone", "\377\373\220\0abcdefgh", "the MP3 frame at byte 0"),

    /* --- what is something else */
    ONLY("nothing", "", NO_AUDIO),
    ONLY("one byte", "R", NO_AUDIO),
    ONLY("RIFF alone", "RIFF", NO_AUDIO),
    ONLY("11 bytes of WAV", "RIFF\4\0\0\0WAV", NO_AUDIO),
    ONLY("11 bytes of FLAC", "fLaC\0\0\0\42\0\0\0", NO_AUDIO),
    NUMBER("zeros", BASE_NONE, DAMAGE_ZEROS, NULL, 0, 0, 4096, CORRUPT, NO_AUDIO),
    ONLY("text", "The quick brown fox jumps over the lazy dog.\n", NO_AUDIO),
    ONLY("CAF", "caff\0\1\0\0desc\0\0\0\0", "CAF is not read"),
    ONLY("Wave64", "riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb", "Wave64 is not read"),
    ONLY("MP4", "\0\0\0\40ftypM4A \0\0\0\0", "MP4 is not read"),
    ONLY("Matroska", "\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x23", "Matroska is not read"),
    ONLY("AMR", "#!AMR\n\4\0\0\0\0\0\0", "AMR is not read"),
    ONLY("VOC", "Creative Voice File\x1a\x1a\0", "VOC is not read"),
    ONLY("SPHERE", "NIST_1A\n   1024\n", "SPHERE is not read"),
    ONLY("WavPack", "wvpk\0\0\0\0\0\0\0\0", "WavPack is not read"),
    ONLY("AVI", "RIFF\0\0\0\0AVI LIST", "AVI is not read"),
    ONLY("8SVX",
         "FORM\0\0\0\0"
         "8SVXVHDR",
         "8SVX is not read"),
    ONLY("AAC", "ADIF\0\0\0\0\0\0\0\0", "AAC is not read"),
};

const int audio_bads_count = (int)(sizeof audio_bads / sizeof *audio_bads);
