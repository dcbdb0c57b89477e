/*
 * A bus that is a folder, for tests. `0x76`: a chip, its registers one byte each; `0x76.taken`: a driver of the kernel has it.
 * Any of these may be missing: `functions` (what the bus can do, as hexadecimal number; else plain I2C and SMBus), `log` (a
 * line is added for each transaction), `stuck` (the clock is held down while it is there), `hangs` (a transaction does not
 * return while it is there), `again` (so many lost arbitrations, a byte each, are still to come).
 */
#define _GNU_SOURCE
#include "bus.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REGISTERS = 256, POLL_US = 2000 };

static char folder[256];
static int lock = -1;
static uint8_t selected;
/* Where each chip reads on. */
static uint8_t pointers[128];

static void path_of(char *path, size_t room, const char *name) { snprintf(path, room, "%s/%s", folder, name); }

static bool is_there(const char *name) {
  char path[512];
  path_of(path, sizeof path, name);
  return access(path, F_OK) == 0;
}

int bus_open(const char *path, uint32_t *functions) {
  char file[512];
  FILE *f;
  unsigned long can = 0x0eff0001;
  snprintf(folder, sizeof folder, "%s", path);
  lock = open(path, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
  if (lock < 0) return -errno;
  path_of(file, sizeof file, "functions");
  f = fopen(file, "r");
  if (f != NULL) {
    if (fscanf(f, "%lx", &can) != 1) can = 0;
    fclose(f);
  }
  *functions = (uint32_t)can;
  return 0;
}

int bus_claim(void) { return flock(lock, LOCK_EX | LOCK_NB) < 0 ? -errno : 0; }

int bus_select(uint8_t address) {
  char name[32];
  selected = address;
  snprintf(name, sizeof name, "0x%02x.taken", address);
  return is_there(name) ? -EBUSY : 0;
}

void bus_limit(uint32_t ms) { (void)ms; }

/* Takes one lost arbitration away. */
static bool is_again(void) {
  char path[512];
  struct stat file;
  path_of(path, sizeof path, "again");
  return stat(path, &file) == 0 && file.st_size > 0 && truncate(path, file.st_size - 1) == 0;
}

static void write_log(const char *what, uint8_t address, const uint8_t *out, size_t out_size, size_t in_size) {
  char path[512];
  size_t i;
  FILE *f;
  path_of(path, sizeof path, "log");
  if (!is_there("log") || (f = fopen(path, "a")) == NULL) return;
  fprintf(f, "%s 0x%02x", what, address);
  for (i = 0; i < out_size; i++) fprintf(f, " %02x", out[i]);
  if (in_size > 0) fprintf(f, " read %u", (unsigned)in_size);
  fprintf(f, "\n");
  fclose(f);
}

/* A write, the first byte being the register, then a read. */
static int exchange(uint8_t address, const uint8_t *out, size_t out_size, uint8_t *in, size_t in_size) {
  char name[32], path[512];
  uint8_t registers[REGISTERS] = {0};
  size_t i;
  int chip, result = 0;
  while (is_there("hangs")) usleep(POLL_US);
  if (is_there("stuck")) return -ETIMEDOUT;
  if (is_again()) return -EAGAIN;
  snprintf(name, sizeof name, "0x%02x", address);
  path_of(path, sizeof path, name);
  chip = open(path, O_RDWR | O_CLOEXEC);
  if (chip < 0) return errno == ENOENT ? -ENXIO : -EIO;
  if (pread(chip, registers, sizeof registers, 0) < 0) result = -EIO;
  if (out_size > 0) pointers[address] = out[0];
  for (i = 1; i < out_size; i++) registers[pointers[address]++] = out[i];
  if (out_size > 1 && pwrite(chip, registers, sizeof registers, 0) < 0) result = -EIO;
  for (i = 0; i < in_size; i++) in[i] = registers[pointers[address]++];
  close(chip);
  return result;
}

int bus_combined(uint8_t address, const uint8_t *out, uint16_t out_size, uint8_t *in, uint16_t in_size) {
  write_log("i2c", address, out, out_size, in_size);
  return exchange(address, out, out_size, in, in_size);
}

int bus_smbus(bool is_read, uint8_t command, int kind, uint8_t *data, size_t size) {
  static const char *names[] = {"quick", "byte", "byte-data", "word-data"};
  uint8_t out[1 + SMBUS_MAX_BLOCK];
  size_t out_size = kind == SMBUS_QUICK || (kind == SMBUS_BYTE && is_read) ? 0 : is_read ? 1 : 1 + size;
  size_t in_size = is_read ? size : 0;
  out[0] = command;
  if (out_size > 1) memcpy(out + 1, data, size);
  write_log(kind == SMBUS_I2C_BLOCK ? "block" : names[kind], selected, out, out_size, in_size);
  return exchange(selected, out, out_size, data, in_size);
}
