#ifndef OPTIONS_H
#define OPTIONS_H

#include "node.h"

typedef struct {
  const port_kind *kind;
  const char *path; /* of pty or serial port */
  char host[128], service[8];
  const char *name, *firmware;
  uint64_t uid;
  bool has_uid, has_key, has_seed, is_sleepy, obeys_stdin;
  uint8_t key[32];
  uint32_t baud, max_baud, line_rate, count;
  double drift_ppm;
  uint64_t seed;
  const program *program;
  program_options run;
} options;

/* Ends the process, with a word about why, when they make no sense. */
void read_options(options *o, int argc, char **argv);
/* Makes the node with this index as the options say. They must stay. */
void set_up_node(node *n, const options *o, uint32_t index);

#endif
