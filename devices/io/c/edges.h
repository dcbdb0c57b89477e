#ifndef EDGES_H
#define EDGES_H

#include <poll.h>
#include <stdint.h>

/*
 * Tells the edges of all lines that have some, in the order of their time. `polls` and `handles` go together, from 1 on.
 * Lines that do not work any more are told of and freed.
 */
void edges_read(const struct pollfd *polls, const uint16_t *handles, int count);

#endif
