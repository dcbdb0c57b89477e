import type { OpenPort, PortRequest, SerialPorts } from './ports.ts'

/** Ports that exist in software: whoever has the other end hears what is written and says what is read. */
export class SimulatedPorts implements SerialPorts {
  private readonly users = new Map<string, PortRequest>()
  private readonly absent = new Set<string>()

  /** Hears all that is written. */
  onWritten: (port: string, bytes: Uint8Array) => void = () => {}

  /** What the port receives; false: nobody has it open. */
  feed(port: string, bytes: Uint8Array): boolean {
    const user = this.users.get(port)
    user?.onData(bytes)
    return user !== undefined
  }

  unplug(port: string): void {
    this.absent.add(port)
    const user = this.users.get(port)
    this.users.delete(port)
    user?.onGone(`${port} was unplugged`)
  }

  plug(port: string): void {
    this.absent.delete(port)
  }

  /** As it was opened; undefined: nobody has it. */
  requestOf(port: string): PortRequest | undefined {
    return this.users.get(port)
  }

  async open(request: PortRequest): Promise<OpenPort> {
    const { port } = request
    if (this.absent.has(port)) throw new Error(`there is no serial port ${port}: is it plugged in?`)
    if (this.users.has(port)) throw new Error(`${port} is in use by another device: give it another port`)
    this.users.set(port, request)
    const isOpen = () => this.users.get(port) === request
    return {
      path: port,
      write: (bytes) => {
        if (isOpen()) this.onWritten(port, bytes.slice())
      },
      close: async () => {
        if (isOpen()) this.users.delete(port)
      },
    }
  }
}
