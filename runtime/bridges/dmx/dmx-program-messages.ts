/** Types of the messages to and from clasp-dmx; `c/messages.h` says what is in them. */
export const DMX_VERSION = 1

export const ToDmx = { open: 0x02, levels: 0x03, last: 0x04 } as const

export const FromDmx = {
  opened: 0x82,
  pace: 0x83,
  failed: 0x84,
  silent: 0x85,
  input: 0x86,
  noBreak: 0x87,
  priority: 0x88,
} as const

export const PortFlag = { input: 1, rtsLow: 2, rs485: 4 } as const
