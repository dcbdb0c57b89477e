/*
 * virtual-pad NAME: an input device of the kernel that exists in software, with some keys and one axis, -100 to 100.
 * A line "TYPE CODE VALUE" on standard input is what happens to it; a report follows each. A dot on standard output says
 * that it is there, and one each time that something has happened. It goes when the input ends.
 * Source: Documentation/input/uinput.rst of Linux.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/uinput.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int tell(int fd, unsigned type, unsigned code, int value) {
  struct input_event event;
  memset(&event, 0, sizeof event);
  event.type = (__u16)type;
  event.code = (__u16)code;
  event.value = value;
  return write(fd, &event, sizeof event) == (ssize_t)sizeof event;
}

int main(int argc, char **argv) {
  struct uinput_setup setup;
  struct uinput_abs_setup axis;
  unsigned type, code;
  int value, fd = open("/dev/uinput", O_WRONLY);
  if (argc != 2 || fd < 0) return 1;
  memset(&setup, 0, sizeof setup);
  setup.id.bustype = BUS_USB;
  setup.id.vendor = 0x1209;
  setup.id.product = 0x0002;
  strncpy(setup.name, argv[1], sizeof setup.name - 1);
  memset(&axis, 0, sizeof axis);
  axis.code = ABS_X;
  axis.absinfo.minimum = -100;
  axis.absinfo.maximum = 100;
  ioctl(fd, UI_SET_EVBIT, EV_KEY);
  ioctl(fd, UI_SET_EVBIT, EV_ABS);
  for (code = KEY_1; code <= KEY_KPDOT; code++) ioctl(fd, UI_SET_KEYBIT, code);
  if (ioctl(fd, UI_ABS_SETUP, &axis) < 0 || ioctl(fd, UI_DEV_SETUP, &setup) < 0) return 1;
  if (ioctl(fd, UI_DEV_CREATE) < 0) return 1;
  do {
    if (write(STDOUT_FILENO, ".", 1) != 1) return 1;
    if (scanf("%u %u %d", &type, &code, &value) != 3) return ioctl(fd, UI_DEV_DESTROY) < 0;
  } while (tell(fd, type, code, value) && tell(fd, EV_SYN, SYN_REPORT, 0));
  return 1;
}
