import { DISCOVERY_PORT } from '../../firmware-protocol/wire/constants.ts'
import type { Config } from '../config/schema.ts'
import type { RouterIdentity } from '../discovery/broadcast.ts'
import type { Firmware } from '../firmware/firmware.ts'
import type { NarrowAcceptor } from '../firmware/narrow-acceptor.ts'
import type { EdgeScope } from './scope.ts'

/** CLASP and microcontrollers over UDP, and the answer to discovery. An extra: when its port is taken, it is left out. */
export async function startUdpPart(
  { clock, log, signal, stops }: EdgeScope,
  { listen, discovery }: Config,
  port: number,
  identity: RouterIdentity,
  acceptor: NarrowAcceptor,
  firmware: Firmware | undefined,
): Promise<void> {
  const { listenUdp } = await import('../transports/udp.ts')
  const { probeReply } = await import('../discovery/broadcast.ts')
  const ports = discovery.broadcast ? [port, DISCOVERY_PORT] : [port]
  try {
    const udp = await listenUdp(
      {
        host: listen.host,
        ports: [...new Set(ports)],
        implicit: listen.udpImplicit,
        probeReply: discovery.broadcast ? () => probeReply(identity) : undefined,
        onLinkDatagram: firmware?.onDatagram,
        clock,
      },
      acceptor,
      log,
      signal,
    )
    // Devices on UDP hear the goodbye only while the socket is open.
    stops.push(async () => {
      await firmware?.stop()
      await udp.stop()
    })
  } catch (error) {
    if (listen.udpImplicit.length > 0 && error instanceof RangeError) throw error
    log.warn('CLASP over UDP and broadcast discovery are off', { reason: (error as Error).message })
  }
}
