/** Serial ports as drivers use them: those of the machine, or made up (`simulated-ports.ts`). */
export interface SerialPorts {
  /** Rejects with an error whose text says what happened and what to do. */
  open(request: PortRequest): Promise<OpenPort>
}

export interface PortRequest {
  /** `/dev/ttyUSB0`, or `usb:0403:6001[:SERIAL]` wherever that is plugged in. */
  readonly port: string
  readonly baudRate: number
  readonly dataBits: 7 | 8
  readonly parity: 'none' | 'even' | 'odd'
  readonly stopBits: 1 | 2
  /** The driver of the kernel switches the direction of an RS-485 transceiver. */
  readonly rs485: boolean
  /** The bytes are the callee's only during the call. */
  onData(bytes: Uint8Array): void
  /** It was unplugged or failed, and is closed; not after `close`. */
  onGone(reason: string): void
}

export interface OpenPort {
  /** Path that it has now. */
  readonly path: string
  /** Copies. Ignored when the port has gone. */
  write(bytes: Uint8Array): void
  close(): Promise<void>
}
