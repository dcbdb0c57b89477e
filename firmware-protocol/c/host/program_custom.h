#ifndef PROGRAM_CUSTOM_H
#define PROGRAM_CUSTOM_H

#include "node.h"

/* Adds "ADDRESS,TYPE,FLAG+FLAG…[,range=MIN:MAX][,safe=VALUE][,unit=TEXT]"; returns what is wrong with it, or NULL. */
const char *add_signal(const char *description);
/* The program of all that were added; NULL: none was. */
const program *custom_program(void);

#endif
