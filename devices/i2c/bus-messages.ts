/**
 * What the router and clasp-i2c tell each other, besides what all programs are told (`devices/process`). The table of all
 * messages is in `c/messages.h`.
 */
export const I2C_VERSION = 1
/** Bytes of a transaction, each way. */
export const MAX_TRANSFER = 4096

export const ToBus = {
  transfer: 0x02,
  probe: 0x03,
  guard: 0x04,
  unguard: 0x05,
  resume: 0x06,
} as const

export const FromBus = {
  opened: 0x82,
  done: 0x83,
  guarded: 0x84,
  forced: 0x85,
} as const
