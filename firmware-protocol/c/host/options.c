#define _GNU_SOURCE
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "program_custom.h"
#include "report.h"

enum { MOST_NODES = 1000 };

enum {
  PTY = 1, PORT, UDP, KEY, NAME, UID, FIRMWARE, BAUD, MAX_BAUD, LINE_RATE, DRIFT, COUNT, SIGNALS, SIGNAL, RATE, LOSSY, SLEEPY,
  SEED, QUIET, STDIN
};

static const struct option OPTIONS[] = {
    {"pty", required_argument, NULL, PTY},
    {"port", required_argument, NULL, PORT},
    {"udp", required_argument, NULL, UDP},
    {"key", required_argument, NULL, KEY},
    {"name", required_argument, NULL, NAME},
    {"uid", required_argument, NULL, UID},
    {"firmware", required_argument, NULL, FIRMWARE},
    {"baud", required_argument, NULL, BAUD},
    {"max-baud", required_argument, NULL, MAX_BAUD},
    {"line-rate", required_argument, NULL, LINE_RATE},
    {"drift-ppm", required_argument, NULL, DRIFT},
    {"count", required_argument, NULL, COUNT},
    {"signals", required_argument, NULL, SIGNALS},
    {"signal", required_argument, NULL, SIGNAL},
    {"rate", required_argument, NULL, RATE},
    {"lossy", no_argument, NULL, LOSSY},
    {"sleepy", no_argument, NULL, SLEEPY},
    {"seed", required_argument, NULL, SEED},
    {"quiet", no_argument, NULL, QUIET},
    {"stdin", no_argument, NULL, STDIN},
    {NULL, 0, NULL, 0},
};

static void refuse(const char *what, const char *text) {
  fprintf(stderr, "simulated-node: %s%s%s\n", what, text != NULL ? ": " : "", text != NULL ? text : "");
  exit(2);
}

static uint64_t whole(const char *text, uint64_t most) {
  char *end;
  uint64_t value = strtoull(text, &end, 10);
  if (*text == 0 || *end != 0 || value > most) refuse("not a number, or too large", text);
  return value;
}

static double fraction(const char *text) {
  char *end;
  double value = strtod(text, &end);
  if (*text == 0 || *end != 0) refuse("not a number", text);
  return value;
}

static void read_key(options *o, const char *text) {
  size_t i;
  if (strlen(text) != 64 || strspn(text, "0123456789abcdefABCDEF") != 64) refuse("a key is 64 hexadecimal digits", NULL);
  for (i = 0; i < 32; i++) {
    char pair[3] = {text[2 * i], text[2 * i + 1], 0};
    o->key[i] = (uint8_t)strtoul(pair, NULL, 16);
  }
  o->has_key = true;
}

static void read_uid(options *o, const char *text) {
  if (strlen(text) != 16 || strspn(text, "0123456789abcdefABCDEF") != 16) refuse("a uid is 16 hexadecimal digits", text);
  o->uid = strtoull(text, NULL, 16);
  o->has_uid = true;
}

/* HOST:PORT or [HOST]:PORT. */
static void read_udp(options *o, const char *text) {
  const char *colon = strrchr(text, ':');
  size_t length = colon != NULL ? (size_t)(colon - text) : 0;
  if (length > 2 && text[0] == '[' && text[length - 1] == ']') {
    text++;
    length -= 2;
  }
  if (length == 0 || length >= sizeof o->host || strlen(colon + 1) >= sizeof o->service) refuse("not HOST:PORT", text);
  memcpy(o->host, text, length);
  strcpy(o->service, colon + 1);
  o->kind = &udp_port;
}

static void use_program(options *o, const char *what, bool is_lossy) {
  o->program = custom_program();
  if (what != NULL && o->program != NULL) refuse("either --signal or --signals", NULL);
  if (o->program != NULL) return;
  if (what == NULL || strcmp(what, "board") == 0) o->program = &board_program;
  else if (strcmp(what, "echo") == 0) o->program = &echo_program;
  else if (strncmp(what, "bench:", 6) == 0)
    o->program = bench_program((uint16_t)whole(what + 6, CLASP_LINK_SIGNALS), is_lossy);
  else refuse("--signals is board, bench:N or echo, not", what);
}

void read_options(options *o, int argc, char **argv) {
  const char *signals = NULL, *wrong;
  bool is_lossy = false;
  int option;
  memset(o, 0, sizeof *o);
  o->name = "node";
  o->firmware = "simulated";
  o->count = 1;
  o->run.rate = 10;
  while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) >= 0) {
    switch (option) {
      case PTY:
        o->kind = &pty_port;
        o->path = optarg;
        break;
      case PORT:
        o->kind = &serial_port;
        o->path = optarg;
        break;
      case UDP: read_udp(o, optarg); break;
      case KEY: read_key(o, optarg); break;
      case NAME: o->name = optarg; break;
      case UID: read_uid(o, optarg); break;
      case FIRMWARE: o->firmware = optarg; break;
      case BAUD: o->baud = (uint32_t)whole(optarg, 20000000); break;
      case MAX_BAUD: o->max_baud = (uint32_t)whole(optarg, 20000000); break;
      case LINE_RATE: o->line_rate = (uint32_t)whole(optarg, 20000000); break;
      case DRIFT: o->drift_ppm = fraction(optarg); break;
      case COUNT: o->count = (uint32_t)whole(optarg, MOST_NODES); break;
      case SIGNALS: signals = optarg; break;
      case SIGNAL:
        if ((wrong = add_signal(optarg)) != NULL) refuse(wrong, optarg);
        break;
      case RATE:
        o->run.is_max = strcmp(optarg, "max") == 0;
        if (!o->run.is_max) o->run.rate = fraction(optarg);
        break;
      case LOSSY: is_lossy = true; break;
      case SLEEPY: o->is_sleepy = true; break;
      case SEED:
        o->seed = whole(optarg, UINT64_MAX);
        o->has_seed = true;
        break;
      case QUIET: is_quiet = true; break;
      case STDIN: o->obeys_stdin = true; break;
      default: exit(2);
    }
  }
  if (optind < argc) refuse("not an option", argv[optind]);
  if (o->kind == NULL) refuse("where to? --pty LINK, --port PATH or --udp HOST:PORT", NULL);
  if (o->count < 1 || (o->kind == &serial_port && o->count > 1)) refuse("--count: one node for a serial port", NULL);
  if (!o->run.is_max && !(o->run.rate > 0 && o->run.rate <= 100000)) refuse("--rate: up to 100000, or max", NULL);
  if (o->path != NULL && strlen(o->path) > sizeof ((port *)0)->path - 8) refuse("the path is too long", o->path);
  use_program(o, signals, is_lossy);
  if (!o->has_seed && getrandom(&o->seed, sizeof o->seed, 0) != (ssize_t)sizeof o->seed) refuse("no random numbers", NULL);
}

/* FNV-1a: the same device whenever it is started. */
static uint64_t hash(const char *text) {
  uint64_t h = 0xcbf29ce484222325u;
  while (*text != 0) h = (h ^ (uint8_t)*text++) * 0x100000001b3u;
  return h;
}

void set_up_node(node *n, const options *o, uint32_t index) {
  port *p = &n->port;
  uint64_t uid = (o->has_uid ? o->uid : hash(o->name)) + index;
  char number[12] = "";
  int i;
  if (o->count > 1) snprintf(number, sizeof number, "%u", (unsigned)(index + 1));
  n->number = o->count > 1 ? index + 1 : 0;
  snprintf(n->name, sizeof n->name, "%.15s%s", o->name, number);
  for (i = 0; i < 8; i++) n->uid[i] = (uint8_t)(uid >> (56 - 8 * i));
  n->program = o->program;
  n->options = &o->run;
  n->random = o->seed + 0x632be59bd9b4e019u * index;
  n->drift_ppm = o->drift_ppm;
  p->kind = o->kind;
  p->line_rate = o->line_rate;
  p->base_baud = o->baud != 0 ? o->baud : o->line_rate != 0 ? o->line_rate : o->kind == &serial_port ? 115200 : 0;
  if (o->path != NULL) snprintf(p->path, sizeof p->path, "%s%s", o->path, number);
  memcpy(p->host, o->host, sizeof p->host);
  memcpy(p->service, o->service, sizeof p->service);
  n->config.firmware = o->firmware;
  n->config.max_baud = o->max_baud;
  n->config.is_sleepy = o->is_sleepy;
  n->config.form = o->kind->is_datagram ? CLASP_DATAGRAMS : CLASP_SERIAL;
  if (o->has_key) {
    memcpy(n->key, o->key, sizeof n->key);
    n->config.key = n->key;
  }
}
