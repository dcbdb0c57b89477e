#define _GNU_SOURCE
#include "priority.h"

#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* Above the kernel's usual work, below its own threads of interrupts (50). */
#define REAL_TIME 20
#define NICE (-15)

/* What this user may have at most; 0: nothing. */
static int limit_of(int resource) {
  struct rlimit limit;
  return getrlimit((int)resource, &limit) < 0 || limit.rlim_cur > 99 ? 0 : (int)limit.rlim_cur;
}

static bool be_real_time(int priority) {
  struct sched_param parameters;
  memset(&parameters, 0, sizeof parameters);
  parameters.sched_priority = priority;
  return sched_setscheduler(0, SCHED_FIFO, &parameters) == 0;
}

uint8_t take_priority(void) {
  /* RLIMIT_NICE counts from 20, which is nice 0, upwards. */
  int nice_limit = limit_of(RLIMIT_NICE);
  /* Timers of ordinary processes are otherwise 50 µs late. */
  prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
  if (be_real_time(REAL_TIME) || be_real_time(limit_of(RLIMIT_RTPRIO))) return 2;
  if (setpriority(PRIO_PROCESS, 0, NICE) == 0) return 1;
  return nice_limit > 20 && setpriority(PRIO_PROCESS, 0, 20 - nice_limit) == 0;
}
