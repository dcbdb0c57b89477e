/* Prints what devices/i2c/c/bus_kernel.c asks the kernel for, by standing in for it: a line for each call. */
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <stdarg.h>
#include <stdio.h>

#include "../../devices/i2c/c/bus.h"
#include "../../devices/i2c/c/transfer.h"

static void print_message(const struct i2c_msg *message) {
  int i;
  printf(" [0x%02x flags %u length %u", message->addr, message->flags, message->len);
  for (i = 0; i < message->len && message->flags == 0; i++) printf(" %02x", message->buf[i]);
  printf("]");
  /* What the chip says. */
  for (i = 0; i < message->len && message->flags == 1; i++) message->buf[i] = (uint8_t)(0xa0 + i);
}

int ioctl(int fd, unsigned long request, ...) {
  va_list rest;
  unsigned long argument;
  (void)fd;
  va_start(rest, request);
  argument = va_arg(rest, unsigned long);
  va_end(rest);
  printf("0x%03lx", request);
  if (request == 0x705) {
    *(unsigned long *)argument = bus_functions;
  } else if (request == 0x707) {
    struct i2c_rdwr_ioctl_data *both = (struct i2c_rdwr_ioctl_data *)argument;
    uint32_t i;
    for (i = 0; i < both->nmsgs; i++) print_message(&both->msgs[i]);
  } else if (request == 0x720) {
    struct i2c_smbus_ioctl_data *call = (struct i2c_smbus_ioctl_data *)argument;
    printf(" %s command %u size %u", call->read_write == 1 ? "read" : "write", call->command, call->size);
    if (call->read_write == 1 && call->size == 3) call->data->word = 0xb1b0;
  } else {
    printf(" %lu", argument);
  }
  printf("\n");
  return 0;
}

static void ask(uint8_t address, const char *bytes, uint16_t size, uint16_t in_size) {
  uint8_t in[64] = {0};
  int result = transfer(address, (const uint8_t *)bytes, size, in, in_size);
  printf("= %d %02x %02x\n", result, in[0], in[1]);
}

int main(void) {
  uint32_t told = 0;
  bus_functions = 0x1;
  if (bus_open("/dev/null", &told) < 0 || told != 0x1) return 1;
  ask(0x76, "\xf7", 1, 8);
  ask(0x3c, "\x00\xaf", 2, 0);
  ask(0x20, "", 0, 1);
  probe(0x50);
  bus_functions = 0x00ff0000;
  ask(0x48, "\x01", 1, 2);
  probe(0x48);
  return 0;
}
