#ifndef GPIO_REQUEST_H
#define GPIO_REQUEST_H

#include "gpio_uapi.h"
#include "lines.h"

/* Fills in what asks the kernel for one line. Writes `request` only. */
void gpio_request_input(gpio_request *request, const line_spec *spec);
/* As it is: the level can be read, and it can be made an output. */
void gpio_request_untouched(gpio_request *request, const line_spec *spec);
void gpio_request_output(gpio_request *request, const line_spec *spec);
/* What makes an output of this spec (`is_output`), or an input of high impedance. Writes `config` only. */
void gpio_configure(gpio_config *config, const line_spec *spec, bool is_output, bool is_on);

#endif
