/*
 * What the process says: one line of JSON each on stdout. Answers have the member "answer", happenings do not.
 */
#ifndef REPORT_H
#define REPORT_H

#include "node.h"

extern bool is_quiet; /* no happenings */

void report_state(const node *n, clasp_state state);
void report_asleep(const node *n);
void report_input(const node *n, uint16_t signal, const clasp_input *input);
void report_match(const node *n, uint16_t signal, const char *address, uint8_t length);
void report_refused(const node *n, uint16_t signal, uint16_t code);
void report_baud(const node *n, uint32_t baud);

void answer_result(const char *command, clasp_result result);
void answer_error(const char *command, const char *error);
void answer_value(const char *command, const node *n, uint16_t signal);
void answer_stats(const char *command, const node *nodes, uint32_t count);
void answer_time(const char *command, const node *n);

#endif
