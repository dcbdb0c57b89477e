#define _GNU_SOURCE
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "framing.h"

uint64_t watchdog_ns = 90 * (uint64_t)MS, linger_ns = 3000 * (uint64_t)MS;

uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool read_ms(const char *text, uint64_t *ns) {
  char *end;
  unsigned long ms = text == NULL ? 0 : strtoul(text, &end, 10);
  if (text == NULL || *text == 0 || *end != 0) return false;
  *ns = (uint64_t)ms * MS;
  return true;
}

bool read_options(int argc, char **argv, int first) {
  int at;
  for (at = first; at < argc; at += 2) {
    bool is_watchdog = strcmp(argv[at], "--watchdog") == 0;
    if (!is_watchdog && strcmp(argv[at], "--linger") != 0) return false;
    if (!read_ms(argv[at + 1], is_watchdog ? &watchdog_ns : &linger_ns) || watchdog_ns == 0) return false;
  }
  return true;
}

void begin_program(uint8_t version) {
  /* A service manager or Ctrl-C tells all processes to stop: the router decides when this one does. */
  static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE};
  size_t i;
  for (i = 0; i < sizeof ignored / sizeof ignored[0]; i++) signal(ignored[i], SIG_IGN);
  fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
  fcntl(STDOUT_FILENO, F_SETFL, fcntl(STDOUT_FILENO, F_GETFL) | O_NONBLOCK);
  /* Not to wait for the card when it counts; not allowed everywhere. */
  if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0) errno = 0;
  begin_message(OUT_READY);
  put_u8(version);
  send_message();
}

void sleep_ns(uint64_t ns) {
  struct timespec rest;
  rest.tv_sec = (time_t)(ns / 1000000000u);
  rest.tv_nsec = (long)(ns % 1000000000u);
  while (nanosleep(&rest, &rest) < 0 && errno == EINTR) continue;
}
