/*
 * Signals as they were given on the command line. They change only at command.
 */
#define _GNU_SOURCE
#include "program_custom.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static clasp_signal signals[CLASP_LINK_SIGNALS];
static program custom = {signals, 0, NULL, NULL, NULL};

typedef struct {
  const char *name;
  uint8_t value;
} word;

static const word TYPES[] = {
    {"null", CLASP_NULL}, {"bool", CLASP_BOOL}, {"i8", CLASP_I8},         {"i16", CLASP_I16},     {"i32", CLASP_I32},
    {"i64", CLASP_I64},   {"f32", CLASP_F32},   {"f64", CLASP_F64},       {"string", CLASP_STRING}, {"bytes", CLASP_BYTES},
    {"unit8", CLASP_UNIT8}, {"unit16", CLASP_UNIT16}, {NULL, 0}};
static const word FLAGS[] = {{"param", CLASP_PARAM}, {"event", CLASP_EVENT}, {"stream", CLASP_STREAM}, {"gesture", CLASP_GESTURE},
                             {"out", CLASP_OUT},     {"in", CLASP_IN},       {"lossy", CLASP_LOSSY},   {NULL, 0}};

static const word *find(const word *words, const char *name) {
  while (words->name != NULL && strcmp(words->name, name) != 0) words++;
  return words->name != NULL ? words : NULL;
}

const char *add_signal(const char *description) {
  char text[256], *rest = text, *field, *flag;
  clasp_signal *s = &signals[custom.signal_count];
  const word *found;
  if (custom.signal_count == CLASP_LINK_SIGNALS) return "too many signals";
  if (strlen(description) >= sizeof text) return "too long";
  strcpy(text, description);
  field = strsep(&rest, ",");
  if (strlen(field) >= sizeof s->address) return "the address is too long";
  strcpy(s->address, field);
  if ((field = strsep(&rest, ",")) == NULL || (found = find(TYPES, field)) == NULL) return "no such type";
  s->type = found->value;
  if ((field = strsep(&rest, ",")) == NULL) return "no flags";
  while ((flag = strsep(&field, "+")) != NULL) {
    if ((found = find(FLAGS, flag)) == NULL) return "no such flag";
    s->flags = (uint8_t)(s->flags | found->value);
  }
  while ((field = strsep(&rest, ",")) != NULL) {
    if (sscanf(field, "range=%f:%f", &s->minimum, &s->maximum) == 2) s->flags |= CLASP_RANGE;
    else if (sscanf(field, "safe=%f", &s->safe) == 1) s->flags |= CLASP_SAFE;
    else if (strncmp(field, "unit=", 5) == 0 && strlen(field + 5) < sizeof s->unit) strcpy(s->unit, field + 5);
    else return "after address, type and flags: range=MIN:MAX, safe=VALUE, unit=TEXT";
  }
  custom.signal_count++;
  return NULL;
}

const program *custom_program(void) { return custom.signal_count > 0 ? &custom : NULL; }
