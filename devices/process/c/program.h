/* What the programs beside the router have in common: they watch over outputs, and outlive a router that was killed. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#define MS 1000000u

/* Silence after which the router is taken for hung, and how long to go on after it has gone without a goodbye. */
extern uint64_t watchdog_ns, linger_ns;

/* Monotonic. */
uint64_t now_ns(void);
/* Reads `--watchdog MS` and `--linger MS`, from `first` on. False: it was called wrongly. */
bool read_options(int argc, char **argv, int first);
/* Signals, memory and pipes; says that it is ready. */
void begin_program(uint8_t version);
/* Whatever signals come. */
void sleep_ns(uint64_t ns);

#endif
