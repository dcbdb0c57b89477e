#include "gpio_request.h"

#include <string.h>

enum { EVENT_BUFFER = 1024 };

static void attribute(gpio_config *config, uint32_t id, uint64_t value) {
  gpio_config_attr *attr = &config->attrs[config->attr_count++];
  attr->attr.id = id;
  attr->attr.value = value;
  attr->mask = 1;
}

static void begin(gpio_request *request, const line_spec *spec) {
  memset(request, 0, sizeof *request);
  request->offsets[0] = spec->offset;
  request->line_count = 1;
  memcpy(request->consumer, spec->consumer, sizeof request->consumer);
}

void gpio_request_input(gpio_request *request, const line_spec *spec) {
  begin(request, spec);
  request->event_buffer = EVENT_BUFFER;
  request->config.flags = spec->flags | GPIO_INPUT | GPIO_EDGE_RISING | GPIO_EDGE_FALLING;
  if (spec->debounce_us > 0) attribute(&request->config, GPIO_ATTR_DEBOUNCE, spec->debounce_us);
}

void gpio_configure(gpio_config *config, const line_spec *spec, bool is_output, bool is_on) {
  memset(config, 0, sizeof *config);
  if (is_output) {
    config->flags = spec->flags | GPIO_OUTPUT;
    attribute(config, GPIO_ATTR_VALUES, is_on ? 1 : 0);
  } else {
    config->flags = GPIO_INPUT | (spec->flags & (GPIO_ACTIVE_LOW | GPIO_PULL_UP | GPIO_PULL_DOWN | GPIO_BIAS_DISABLED));
  }
}

void gpio_request_untouched(gpio_request *request, const line_spec *spec) {
  begin(request, spec);
  request->config.flags = spec->flags & GPIO_ACTIVE_LOW;
}

void gpio_request_output(gpio_request *request, const line_spec *spec) {
  begin(request, spec);
  gpio_configure(&request->config, spec, !spec->is_released, spec->is_on);
}
