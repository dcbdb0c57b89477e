/* Transactions on the open bus, with what the bus can do. Results are negative errno values on error. */
#ifndef TRANSFER_H
#define TRANSFER_H

#include <stdint.h>

/* Bytes each way. */
enum { MAX_TRANSFER = 4096 };

/* What bus_open told. */
extern uint32_t bus_functions;

/*
 * Writes, then reads behind a repeated start. -EADDRINUSE: a driver of the kernel has the chip; -EOPNOTSUPP: the bus only
 * speaks SMBus, which has no such transaction. Takes at most four times (50 ms and 1 ms a byte), unless the adapter hangs.
 */
int transfer(uint8_t address, const uint8_t *out, uint16_t out_size, uint8_t *in, uint16_t in_size);
/* Whether a chip answers, found out with what harms least at this address. */
int probe(uint8_t address);

#endif
