/*
 * Runs fuzz.c with random scripts, where there is no libFuzzer:
 *
 *     fuzz SECONDS [SEED]      prints how many scripts were run; what goes wrong ends it and names its seed
 */
#include <sanitizer/common_interface_defs.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t seed;

static void name_seed(void) { fprintf(stderr, "seed %llu\n", (unsigned long long)seed); }

static void on_abort(int number) {
  (void)number;
  name_seed();
}

static uint64_t draw(uint64_t *x) {
  *x ^= *x << 13;
  *x ^= *x >> 7;
  *x ^= *x << 17;
  return *x;
}

int main(int argc, char **argv) {
  static uint8_t script[4096];
  double seconds = argc > 1 ? atof(argv[1]) : 10;
  unsigned long count = 0;
  time_t end_at = time(NULL) + (time_t)seconds;
  seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
  __sanitizer_set_death_callback(name_seed);
  signal(SIGABRT, on_abort);
  do {
    uint64_t x = seed * 0x9e3779b97f4a7c15u | 1;
    size_t length, i;
    draw(&x);
    length = draw(&x) % sizeof script;
    for (i = 0; i < length; i++) script[i] = (uint8_t)(draw(&x) >> 32);
    /* A link is soon there, so that most of the script is not wasted on a device that only announces itself. */
    memcpy(script + 6, "\x04\x01\x01\x00\x02\x03\xE8\x00\x06\x03\xE8", 11);
    LLVMFuzzerTestOneInput(script, length);
    count++;
    seed++;
  } while (time(NULL) < end_at);
  printf("%lu scripts\n", count);
  return 0;
}
