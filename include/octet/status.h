/* status.h: how every public function reports failure.
 *
 * A function returns an octet_status; 0 is success. Its last argument is an octet_error that the
 * caller owns and may leave NULL; on failure it holds one line of text: what is wrong, where, and
 * both values. The numbers are also the exit codes of the program, see README. */
#ifndef OCTET_STATUS_H
#define OCTET_STATUS_H

typedef enum octet_status {
    OCTET_OK = 0,
    OCTET_ERROR = 1,   /* bad argument, missing file, wrong configuration, failed I/O */
    OCTET_WARNING = 2, /* done, but the caller should read the text */
    OCTET_CORRUPT = 3, /* corrupt or unsupported input, also a model whose weights are not finite */
    OCTET_WRONG_MODEL = 4, /* the data belongs to another model */
    OCTET_NO_MEMORY = 5,   /* an allocation failed; nothing was lost */
    OCTET_STOPPED = 6,     /* the caller's stop flag was set; the state was saved */
    OCTET_END = 7          /* no failure: the model ended the stream instead of giving a byte */
} octet_status;

typedef struct octet_error {
    octet_status code;
    char text[512];
} octet_error;

#endif
