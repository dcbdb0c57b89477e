/** What a narrow link did to the messages of the router. Counters only grow. */
export interface NarrowCounters {
  /** Frames that went to the device. */
  sent: number
  /** Values that went out as another type. */
  converted: number
  /** Messages and values left out because the device cannot read their kind. */
  unreadable: number
  /** Frames left out because the device has no room for them. */
  tooLarge: number
  /** Messages left out because the address is too long for the device, or not ASCII. */
  badAddresses: number
  /** Values that a newer one replaced before they went out. */
  coalesced: number
  /** The device's own values that were not sent back to it, and their ACKs. */
  echoes: number
  acks: number
  /** Messages lost because too many waited. */
  dropped: number
  /** Frames from the device that were ignored: undecodable, or sent before HELLO. */
  ignored: number
}

export function noCounts(): NarrowCounters {
  return {
    sent: 0,
    converted: 0,
    unreadable: 0,
    tooLarge: 0,
    badAddresses: 0,
    coalesced: 0,
    echoes: 0,
    acks: 0,
    dropped: 0,
    ignored: 0,
  }
}
