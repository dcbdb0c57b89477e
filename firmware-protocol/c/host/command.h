#ifndef COMMAND_H
#define COMMAND_H

#include "node.h"

/* Does what one line says, and answers it on stdout. The list of commands is in node_main.c. */
void obey(node *nodes, uint32_t count, char *line);

#endif
