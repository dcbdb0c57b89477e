import type { ValueOptions } from './narrow-values.ts'

/** How a device of class A or E is served, beyond what its class commands. */
export interface NarrowOptions extends ValueOptions {
  /** Largest frame for class E. Class A never gets more than its 252 bytes, nobody more than the carrier takes. */
  maxFrameBytes: number
  /** Class E: PUBLISH as SET of the same address, with the value, which it cannot read otherwise. */
  eventsAsSet: boolean
  /** Class E: arrays and maps as a SET for each element, `<address>/<index or key>`. */
  listsAsItems: boolean
  /** The device's own SET does not come back to it, unless the stored value differs. */
  suppressEcho: boolean
  /** No ACK for its SETs: neither class reads them. */
  suppressAck: boolean
  /** Values of one address, at most; 0 = all of them. The newest is always delivered in the end. */
  updatesPerSecond: number
  /** PING after so long without a sign of life; 0 = never. It need not be answered. */
  pingAfterMs: number
  /** A device that sends something else before any HELLO gets a session of this name; without it, it is ignored. */
  implicitName: string | undefined
}

/** The defaults for a carrier: on a serial line and over BLE every byte counts. Firmware reference §5.2. */
export function narrowOptions(transport: string): NarrowOptions {
  const isSlow = isSlowCarrier(transport)
  return {
    maxFrameBytes: 512,
    textAsValue: false,
    listsAsCount: false,
    eventsAsSet: false,
    listsAsItems: false,
    suppressEcho: isSlow,
    suppressAck: isSlow,
    updatesPerSecond: isSlow ? 50 : 0,
    // The UDP transport sends its own.
    pingAfterMs: transport === 'udp' ? 0 : 20_000,
    implicitName: undefined,
  }
}

export function isSlowCarrier(transport: string): boolean {
  return transport === 'serial' || transport === 'ble'
}
