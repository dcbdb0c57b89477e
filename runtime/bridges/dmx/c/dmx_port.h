/* A serial port that carries DMX512: 250 000 baud, 8 bits, no parity, 2 stop bits. Results: 0 or more, or -errno. */
#ifndef DMX_PORT_H
#define DMX_PORT_H

#include <stdbool.h>
#include <stdint.h>

/* RTS_LOW: Open DMX and its kin drive the line only then. RS485: the driver switches the transmitter. */
enum { PORT_INPUT = 1, PORT_RTS_LOW = 2, PORT_RS485 = 4 };

/* Does not block, and nobody else may have it. -EBUSY: somebody has. */
int dmx_port_open(const char *path, uint8_t flags);
int dmx_port_break(int fd, bool is_on);
/* Waits until all has left: as long as the frame takes. -ETIMEDOUT: it does not leave within a second. */
int dmx_port_drain(int fd);
/* Throws away what the port has not taken. */
void dmx_port_close(int fd);

#endif
