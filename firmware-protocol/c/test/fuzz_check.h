/*
 * What a device sends, looked at from outside: an independent reading of the protocol. Whatever is wrong aborts.
 */
#ifndef FUZZ_CHECK_H
#define FUZZ_CHECK_H

#include <stddef.h>
#include <stdint.h>

/* The next bytes of a serial line; frames are checked as they end. `mru`: the largest that the other side takes. */
void check_serial(const uint8_t *bytes, size_t count, uint16_t mru, uint16_t session);
/* Starts in the middle of nothing. */
void forget_line(void);
void check_datagram(const uint8_t *bytes, size_t count, uint16_t mru, int is_short);

/* COBS of CTRL SEQ BODY and check, between zeros; `wire` takes 5 bytes more and one for each 254. */
size_t put_serial(uint8_t *wire, const uint8_t *frame, size_t length, uint16_t session);

#endif
