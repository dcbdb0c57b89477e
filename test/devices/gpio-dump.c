/* Prints, in hexadecimal and one a line, what asks the kernel for lines. */
#include <stdio.h>
#include <string.h>

#include "../../devices/io/c/gpio_request.h"

static void print(const void *bytes, size_t size) {
  size_t i;
  for (i = 0; i < size; i++) printf("%02x", ((const unsigned char *)bytes)[i]);
  printf("\n");
}

int main(void) {
  gpio_request request;
  gpio_config config;
  line_spec spec = {"gpiochip0", "clasp:door", 17, GPIO_ACTIVE_LOW | GPIO_PULL_UP, 5000, true, false, false};
  gpio_request_input(&request, &spec);
  print(&request, sizeof request);
  spec.flags = GPIO_OPEN_DRAIN;
  gpio_request_output(&request, &spec);
  print(&request, sizeof request);
  gpio_configure(&config, &spec, false, false);
  print(&config, sizeof config);
  spec.is_released = true;
  gpio_request_output(&request, &spec);
  print(&request, sizeof request);
  spec.flags = GPIO_ACTIVE_LOW | GPIO_OPEN_DRAIN;
  gpio_request_untouched(&request, &spec);
  print(&request, sizeof request);
  return 0;
}
