#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>

#include "bus.h"

/* I2C_TIMEOUT counts in them. */
#define JIFFY_MS 10u

static int bus = -1;
static uint32_t limit;

int bus_open(const char *path, uint32_t *functions) {
  unsigned long can;
  bus = open(path, O_RDWR | O_CLOEXEC);
  if (bus < 0) return -errno;
  if (ioctl(bus, I2C_FUNCS, &can) < 0) return -errno;
  *functions = (uint32_t)can;
  return 0;
}

int bus_claim(void) { return flock(bus, LOCK_EX | LOCK_NB) < 0 ? -errno : 0; }

/* Never I2C_SLAVE_FORCE: two drivers of one chip confuse it. */
int bus_select(uint8_t address) { return ioctl(bus, I2C_SLAVE, (unsigned long)address) < 0 ? -errno : 0; }

void bus_limit(uint32_t ms) {
  uint32_t units = (ms + JIFFY_MS - 1) / JIFFY_MS;
  if (units == limit) return;
  limit = units;
  /* An adapter that has no such limit keeps its own. */
  if (ioctl(bus, I2C_TIMEOUT, (unsigned long)units) < 0) errno = 0;
}

int bus_combined(uint8_t address, const uint8_t *out, uint16_t out_size, uint8_t *in, uint16_t in_size) {
  struct i2c_msg messages[2];
  struct i2c_rdwr_ioctl_data both;
  both.msgs = messages;
  both.nmsgs = 0;
  memset(messages, 0, sizeof messages);
  if (out_size > 0 || in_size == 0) {
    messages[both.nmsgs].addr = address;
    messages[both.nmsgs].len = out_size;
    /* The kernel does not write to it. */
    messages[both.nmsgs++].buf = (uint8_t *)(uintptr_t)out;
  }
  if (in_size > 0) {
    messages[both.nmsgs].addr = address;
    messages[both.nmsgs].flags = I2C_M_RD;
    messages[both.nmsgs].len = in_size;
    messages[both.nmsgs++].buf = in;
  }
  return ioctl(bus, I2C_RDWR, &both) < 0 ? -errno : 0;
}

int bus_smbus(bool is_read, uint8_t command, int kind, uint8_t *data, size_t size) {
  struct i2c_smbus_ioctl_data call;
  union i2c_smbus_data value;
  memset(&value, 0, sizeof value);
  call.read_write = is_read ? I2C_SMBUS_READ : I2C_SMBUS_WRITE;
  call.command = command;
  call.size = (uint32_t)kind;
  call.data = kind == SMBUS_QUICK || (kind == SMBUS_BYTE && !is_read) ? NULL : &value;
  if (kind == SMBUS_BYTE_DATA) value.byte = data[0];
  if (kind == SMBUS_WORD_DATA) value.word = (uint16_t)(data[0] | data[1] << 8);
  if (kind == SMBUS_I2C_BLOCK) {
    value.block[0] = (uint8_t)size;
    if (!is_read) memcpy(value.block + 1, data, size);
  }
  if (ioctl(bus, I2C_SMBUS, &call) < 0) return -errno;
  if (!is_read) return 0;
  if (kind == SMBUS_BYTE || kind == SMBUS_BYTE_DATA) data[0] = value.byte;
  if (kind == SMBUS_WORD_DATA) {
    data[0] = (uint8_t)value.word;
    data[1] = (uint8_t)(value.word >> 8);
  }
  if (kind == SMBUS_I2C_BLOCK) {
    /* Fewer than asked for: the chip or the adapter did not follow. */
    if (value.block[0] != size) return -EPROTO;
    memcpy(data, value.block + 1, size);
  }
  return 0;
}
