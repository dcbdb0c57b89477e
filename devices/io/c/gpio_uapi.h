/*
 * The GPIO character device, second version of its interface (Linux 5.10 and newer), with the same layout on all
 * processors. Written down here so that old kernel headers do.
 * Source: Documentation/userspace-api/gpio/chardev.rst of the kernel.
 */
#ifndef GPIO_UAPI_H
#define GPIO_UAPI_H

#include <stdint.h>

enum { GPIO_NAME = 32, GPIO_MAX_LINES = 64, GPIO_MAX_ATTRS = 10 };

#define GPIO_GET_CHIPINFO 0x8044b401u
#define GPIO_GET_LINEINFO 0xc100b405u
#define GPIO_GET_LINE 0xc250b407u
#define GPIO_SET_CONFIG 0xc110b40du
#define GPIO_GET_VALUES 0xc010b40eu
#define GPIO_SET_VALUES 0xc010b40fu

enum {
  GPIO_USED = 0x1,
  GPIO_ACTIVE_LOW = 0x2,
  GPIO_INPUT = 0x4,
  GPIO_OUTPUT = 0x8,
  GPIO_EDGE_RISING = 0x10,
  GPIO_EDGE_FALLING = 0x20,
  GPIO_OPEN_DRAIN = 0x40,
  GPIO_OPEN_SOURCE = 0x80,
  GPIO_PULL_UP = 0x100,
  GPIO_PULL_DOWN = 0x200,
  GPIO_BIAS_DISABLED = 0x400
};

enum { GPIO_ATTR_FLAGS = 1, GPIO_ATTR_VALUES = 2, GPIO_ATTR_DEBOUNCE = 3 };
enum { GPIO_RISING = 1, GPIO_FALLING = 2 };

typedef struct gpio_chip_info {
  char name[GPIO_NAME];
  char label[GPIO_NAME];
  uint32_t lines;
} gpio_chip_info;

typedef struct gpio_attr {
  uint32_t id;
  uint32_t padding;
  uint64_t value;
} gpio_attr;

/* `mask`: which lines of the request it is for. */
typedef struct gpio_config_attr {
  gpio_attr attr;
  uint64_t mask;
} gpio_config_attr;

typedef struct gpio_config {
  uint64_t flags;
  uint32_t attr_count;
  uint32_t padding[5];
  gpio_config_attr attrs[GPIO_MAX_ATTRS];
} gpio_config;

typedef struct gpio_request {
  uint32_t offsets[GPIO_MAX_LINES];
  char consumer[GPIO_NAME];
  gpio_config config;
  uint32_t line_count;
  uint32_t event_buffer;
  uint32_t padding[5];
  int32_t fd;
} gpio_request;

typedef struct gpio_line_info {
  char name[GPIO_NAME];
  char consumer[GPIO_NAME];
  uint32_t offset;
  uint32_t attr_count;
  uint64_t flags;
  gpio_attr attrs[GPIO_MAX_ATTRS];
  uint32_t padding[4];
} gpio_line_info;

typedef struct gpio_values {
  uint64_t bits;
  uint64_t mask;
} gpio_values;

typedef struct gpio_event {
  uint64_t timestamp_ns;
  uint32_t id;
  uint32_t offset;
  uint32_t sequence;
  uint32_t line_sequence;
  uint32_t padding[6];
} gpio_event;

/* C99 has no _Static_assert: an array of negative size says the same. */
typedef char gpio_sizes_are_right[sizeof(gpio_chip_info) == 68 && sizeof(gpio_config) == 272 &&
                                          sizeof(gpio_request) == 592 && sizeof(gpio_line_info) == 256 &&
                                          sizeof(gpio_values) == 16 && sizeof(gpio_event) == 48
                                      ? 1
                                      : -1];

#endif
