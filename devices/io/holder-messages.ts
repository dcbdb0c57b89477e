/**
 * What the router and clasp-io tell each other, besides what all programs are told (`devices/process`). Handles: 0…255. The
 * table of all messages is in `c/messages.h`.
 */
export const HOLDER_VERSION = 3
export const MAX_LINES = 256

export const ToHolder = {
  list: 0x02,
  input: 0x03,
  output: 0x04,
  guard: 0x05,
  close: 0x06,
  set: 0x07,
  read: 0x08,
  strobe: 0x09,
  pulses: 0x0a,
  resume: 0x0b,
} as const

export const FromHolder = {
  line: 0x82,
  listed: 0x83,
  opened: 0x84,
  failed: 0x85,
  edge: 0x86,
  level: 0x87,
  forced: 0x88,
  time: 0x89,
  closed: 0x8a,
  done: 0x8b,
  lost: 0x8c,
} as const

/** Instead of off (0) and on (1), of an output. */
export const HIGH_IMPEDANCE = 2
/** The same, of one that is opened: what it is if it is an output already, else off. */
export const AS_IT_IS = 3

/** As in `c/gpio_uapi.h`, which has it from the kernel. */
export const LineFlag = {
  activeLow: 0x2,
  openDrain: 0x40,
  openSource: 0x80,
  pullUp: 0x100,
  pullDown: 0x200,
  biasDisabled: 0x400,
} as const
