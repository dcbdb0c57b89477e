import { SerialError } from './serial-error.ts'

/**
 * What is used of the native part of serialport; its own types do not resolve under bundler resolution. Errors are
 * texts without codes.
 */
export interface SerialBinding {
  readonly fd: number | null
  readonly poller: SerialPoller
  /** tcflush of both directions and then the new rate. */
  update(options: { baudRate: number }): Promise<void>
  /** What the driver has made of the rate. */
  getBaudRate(): Promise<{ baudRate: number }>
  /** Sets all lines at once: what is left out becomes false. */
  set(options: { dtr: boolean; rts: boolean; lowLatency?: boolean }): Promise<void>
  /** tcflush of both directions. */
  flush(): Promise<void>
  /** tcdrain, in a thread. */
  drain(): Promise<void>
  close(): Promise<void>
}

/** libuv's uv_poll. Each event comes once, with an error or null, and has to be asked for again. */
export interface SerialPoller {
  /** Flags: 1 readable, 2 writable. Replaces what was asked for before. */
  poll(flags: number): void
  on(event: 'readable' | 'writable', listener: () => void): unknown
  removeAllListeners(): unknown
}

export interface SerialDriver {
  open(options: {
    path: string
    baudRate: number
    dataBits: 7 | 8
    parity: 'none' | 'even' | 'odd'
    stopBits: 1 | 2
    rtscts: boolean
    hupcl: boolean
  }): Promise<SerialBinding>
}

/**
 * Optional, and a native add-on: loaded when the first port is opened. Without the Node streams of serialport, which
 * make a round trip three times as long. Rejects with a SerialError when it is not installed or does not load.
 */
export async function loadSerialDriver(
  load: () => Promise<{ LinuxBinding: SerialDriver }> = () => import('@serialport/bindings-cpp'),
): Promise<SerialDriver> {
  try {
    return (await load()).LinuxBinding
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const isAbsent = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND'
    const what = isAbsent
      ? 'is not installed: run "npm install @serialport/bindings-cpp@13" in the folder of clasp-edge'
      : `does not load (${message.split('\n')[0]}): run "npm rebuild @serialport/bindings-cpp" in the folder of clasp-edge`
    throw new SerialError('module', `serial ports need the package @serialport/bindings-cpp, which ${what}`)
  }
}
