/* How evenly frames go out. */
#ifndef PACE_H
#define PACE_H

#include <stdint.h>

/* A frame begins. Tells of the last second when it is over. */
void pace_frame(uint64_t now);
/* What comes next is no interval: nothing was sent for a while. */
void pace_pause(void);

#endif
