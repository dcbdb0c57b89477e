#include "transfer.h"

#include <errno.h>
#include <string.h>

#include "bus.h"

/* After a lost arbitration. */
enum { RETRIES = 3 };
/* A chip may hold the clock down for 25 ms at most (SMBus 3.2, T_LOW:SEXT). A byte takes 0.9 ms at 10 kHz. */
enum { LIMIT_MS = 50, BYTE_MS = 1 };

uint32_t bus_functions;

static int smbus(uint32_t needs, bool is_read, uint8_t command, int kind, uint8_t *data, size_t size) {
  return (bus_functions & needs) != 0 ? bus_smbus(is_read, command, kind, data, size) : -EOPNOTSUPP;
}

/* Two bytes are a word where the bus has words: on the wire they are the same. */
static int smbus_write(const uint8_t *out, uint16_t size) {
  uint8_t data[SMBUS_MAX_BLOCK];
  if (size > 1 + SMBUS_MAX_BLOCK) return -EOPNOTSUPP;
  if (size == 0) return smbus(CAN_QUICK, false, 0, SMBUS_QUICK, data, 0);
  if (size == 1) return smbus(CAN_WRITE_BYTE, false, out[0], SMBUS_BYTE, data, 0);
  memcpy(data, out + 1, size - 1u);
  if (size == 2) return smbus(CAN_WRITE_BYTE_DATA, false, out[0], SMBUS_BYTE_DATA, data, 1);
  if (size == 3 && (bus_functions & CAN_WRITE_WORD_DATA) != 0) return bus_smbus(false, out[0], SMBUS_WORD_DATA, data, 2);
  return smbus(CAN_WRITE_BLOCK, false, out[0], SMBUS_I2C_BLOCK, data, size - 1u);
}

static int smbus_read(uint8_t command, uint8_t *in, uint16_t size) {
  uint8_t data[SMBUS_MAX_BLOCK];
  int result;
  if (size > SMBUS_MAX_BLOCK) return -EOPNOTSUPP;
  if (size == 1) result = smbus(CAN_READ_BYTE_DATA, true, command, SMBUS_BYTE_DATA, data, 1);
  else if (size == 2 && (bus_functions & CAN_READ_WORD_DATA) != 0) result = bus_smbus(true, command, SMBUS_WORD_DATA, data, 2);
  else result = smbus(CAN_READ_BLOCK, true, command, SMBUS_I2C_BLOCK, data, size);
  if (result == 0) memcpy(in, data, size);
  return result;
}

static int once(uint8_t address, const uint8_t *out, uint16_t out_size, uint8_t *in, uint16_t in_size) {
  if ((bus_functions & CAN_I2C) != 0) return bus_combined(address, out, out_size, in, in_size);
  if (in_size == 0) return smbus_write(out, out_size);
  if (out_size == 1) return smbus_read(out[0], in, in_size);
  if (out_size == 0 && in_size == 1) return smbus(CAN_READ_BYTE, true, 0, SMBUS_BYTE, in, 1);
  return -EOPNOTSUPP;
}

/* The kernel looks after its drivers only here, not at combined transactions. */
static int select_chip(uint8_t address) {
  int result = bus_select(address);
  return result == -EBUSY ? -EADDRINUSE : result;
}

int transfer(uint8_t address, const uint8_t *out, uint16_t out_size, uint8_t *in, uint16_t in_size) {
  int result = select_chip(address), tries;
  bus_limit(LIMIT_MS + BYTE_MS * ((uint32_t)out_size + in_size));
  for (tries = 0; result == 0 && tries <= RETRIES; tries++) {
    result = once(address, out, out_size, in, in_size);
    if (result != -EAGAIN) break;
    if (tries < RETRIES) result = 0;
  }
  return result;
}

/*
 * A write without bytes upsets chips in 0x30…0x37 and 0x50…0x5f (memories, which may take it for the start of a write): they
 * are read instead. Source: i2cdetect(8).
 */
int probe(uint8_t address) {
  bool is_delicate = (address >= 0x30 && address <= 0x37) || (address >= 0x50 && address <= 0x5f);
  uint8_t byte;
  int result;
  if (!is_delicate && (bus_functions & CAN_QUICK) != 0) {
    result = select_chip(address);
    bus_limit(LIMIT_MS);
    if (result == 0) result = bus_smbus(false, 0, SMBUS_QUICK, &byte, 0);
    /* Some adapters say that they can, and cannot. */
    if (result != -EOPNOTSUPP) return result;
  }
  return transfer(address, NULL, 0, &byte, 1);
}
