/*
 * Where a bus comes from: the kernel (bus_kernel.c), or a folder of files for tests (bus_fake.c). One bus a process.
 * Results are negative errno values on error.
 * Source: Documentation/i2c/dev-interface.rst and Documentation/i2c/smbus-protocol.rst of the kernel.
 */
#ifndef BUS_H
#define BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of the kernel: I2C_FUNC_… and I2C_SMBUS_…. */
enum {
  CAN_I2C = 0x1,
  CAN_QUICK = 0x10000,
  CAN_READ_BYTE = 0x20000,
  CAN_WRITE_BYTE = 0x40000,
  CAN_READ_BYTE_DATA = 0x80000,
  CAN_WRITE_BYTE_DATA = 0x100000,
  CAN_READ_WORD_DATA = 0x200000,
  CAN_WRITE_WORD_DATA = 0x400000,
  CAN_READ_BLOCK = 0x4000000,
  CAN_WRITE_BLOCK = 0x8000000
};
enum { SMBUS_QUICK = 0, SMBUS_BYTE = 1, SMBUS_BYTE_DATA = 2, SMBUS_WORD_DATA = 3, SMBUS_I2C_BLOCK = 8 };
enum { SMBUS_MAX_BLOCK = 32 };

/* Also tells what the bus can do. */
int bus_open(const char *path, uint32_t *functions);
/* No other process of this program guards outputs on the bus from now on; -EWOULDBLOCK: one does. */
int bus_claim(void);
/* -EBUSY: a driver of the kernel has the chip. For bus_smbus, and to learn of that. */
int bus_select(uint8_t address);
/* How long the adapter may take for one transaction. Other users of the adapter get it too. */
void bus_limit(uint32_t ms);
/* Writes, then reads behind a repeated start; without bytes on either side only the address goes out. */
int bus_combined(uint8_t address, const uint8_t *out, uint16_t out_size, uint8_t *in, uint16_t in_size);
/* One SMBus transaction with the selected chip. `data`: 32 bytes of room; `size`: of a block. */
int bus_smbus(bool is_read, uint8_t command, int kind, uint8_t *data, size_t size);

#endif
