#ifndef PRIORITY_H
#define PRIORITY_H

#include <stdint.h>

/* Asks for the best place at the processor that this user may have: 2 real time, 1 above others, 0 none. */
uint8_t take_priority(void);

#endif
