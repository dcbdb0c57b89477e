/* What is written to chips when nobody is in charge: by address, at most one for each. */
#ifndef GUARDS_H
#define GUARDS_H

#include <stdbool.h>

#include "../../process/c/framing.h"

/* Takes the writes of IN_GUARD, behind the address. A negative errno value on error; then the one of before stays. */
int guard_set(uint8_t address, reader *body);
void guard_drop(uint8_t address);
bool is_guarded(uint8_t address);
bool has_guards(void);
/* Writes everything, and tells of it. */
void guards_step_in(void);
/* Whether something could not be written so far. */
bool guards_owe(void);
/* Tries that again. */
void guards_try_again(void);
/* The router is in charge again: what is owed is its business. */
void guards_step_back(void);

#endif
