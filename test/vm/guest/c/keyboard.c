/*
 * A USB keyboard that exists only in the kernel, for the time that standard input is open.
 *
 *   keyboard NAME
 *
 * Standard input: numbers of keys (linux/input-event-codes.h), each followed by a newline: pressed and let go.
 * Source: Documentation/input/uinput.rst of the kernel.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/uinput.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { KEYS = 256 };

static int tell(int fd, int type, int code, int value) {
  struct input_event event;
  memset(&event, 0, sizeof event);
  event.type = (unsigned short)type;
  event.code = (unsigned short)code;
  event.value = value;
  return write(fd, &event, sizeof event) == (ssize_t)sizeof event ? 0 : -1;
}

static int make(int fd, const char *name) {
  struct uinput_setup setup;
  int key;
  memset(&setup, 0, sizeof setup);
  setup.id.bustype = BUS_USB;
  setup.id.vendor = 0x1209;
  setup.id.product = 0x0001;
  snprintf(setup.name, sizeof setup.name, "%s", name);
  if (ioctl(fd, UI_SET_EVBIT, EV_KEY) < 0) return -1;
  for (key = 1; key < KEYS; key++)
    if (ioctl(fd, UI_SET_KEYBIT, key) < 0) return -1;
  return ioctl(fd, UI_DEV_SETUP, &setup) < 0 || ioctl(fd, UI_DEV_CREATE) < 0 ? -1 : 0;
}

int main(int argc, char **argv) {
  int fd = open("/dev/uinput", O_WRONLY | O_NONBLOCK), key;
  if (argc != 2 || fd < 0 || make(fd, argv[1]) < 0) {
    perror("keyboard");
    return 1;
  }
  while (scanf("%d", &key) == 1)
    if (tell(fd, EV_KEY, key, 1) < 0 || tell(fd, EV_SYN, SYN_REPORT, 0) < 0 || tell(fd, EV_KEY, key, 0) < 0 ||
        tell(fd, EV_SYN, SYN_REPORT, 0) < 0)
      return 1;
  return ioctl(fd, UI_DEV_DESTROY) < 0;
}
