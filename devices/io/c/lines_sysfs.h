/*
 * GPIO by files, as kernels before 5.10 offer it to programs: /sys/class/gpio. It knows no owners, no pull resistors, no
 * open drain, and no debounce, which is done here. Same contract as lines.h.
 * Source: Documentation/admin-guide/gpio/sysfs.rst of the kernel.
 */
#ifndef LINES_SYSFS_H
#define LINES_SYSFS_H

#include "lines.h"

/* Instead of /sys/class/gpio, and of the character device, in tests. */
#define SYSFS_VARIABLE "CLASP_IO_SYSFS"

/* Whether a descriptor is one of a line that was opened here. */
bool sysfs_has(int fd);
int sysfs_open_input(const line_spec *spec);
/* Until it is told its level, a line that is exported is what it was: an input, as a rule. */
int sysfs_open_output(line_spec *spec);
int sysfs_get(int fd);
int sysfs_set(int fd, bool is_on);
int sysfs_release(int fd);
int sysfs_drive(int fd, const line_spec *spec, bool is_on);
int sysfs_edges(int fd, line_edge *edges, int room);
/* Lets go of the line, which stays as it is. */
void sysfs_close(int fd);
int sysfs_list(void (*tell)(const line_info *info));

#endif
