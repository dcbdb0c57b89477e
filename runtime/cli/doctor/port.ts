import type { CheckResult, Finding } from './finding.ts'
import type { System } from './system.ts'

/** Below it only root and who is allowed to may listen. */
const FIRST_FREE_PORT = 1024

/** Whether the configured port can be had, or who has it. */
export async function checkPort({ config, live }: System): Promise<CheckResult> {
  const { host, port } = config.listen
  const topic = 'port'
  if (live === undefined || port === 0) return { topic, fine: '', findings: [] }
  const failure = await live.portFailure(host, port)
  if (failure === undefined) return { topic, fine: `${port} is free`, findings: [] }
  const holder = failure === 'EADDRINUSE' ? await live.portHolder(port) : undefined
  const router = failure === 'EADDRINUSE' ? await live.routerAt(port) : undefined
  if (router !== undefined) return { topic, fine: `${port} is served by the router "${router}"`, findings: [] }
  return { topic, fine: '', findings: [explain(failure, port, host, holder)] }
}

function explain(failure: string, port: number, host: string | undefined, holder: string | undefined): Finding {
  const meaning = 'the router cannot start'
  switch (failure) {
    case 'EADDRINUSE':
      return {
        severity: 'problem',
        what: `port ${port} is in use by ${holder ?? 'another program'}`,
        meaning,
        remedy: 'stop that program, or set listen.port to another one',
        type: holder === undefined ? [`sudo ss -ltnp 'sport = :${port}'`] : [],
      }
    case 'EACCES':
      return {
        severity: 'problem',
        what: `no permission to listen on port ${port}`,
        meaning,
        remedy: `set listen.port to ${FIRST_FREE_PORT} or more, or allow it with AmbientCapabilities=CAP_NET_BIND_SERVICE`,
      }
    case 'EADDRNOTAVAIL':
      return {
        severity: 'problem',
        what: `this machine has not got the address ${host}`,
        meaning,
        remedy: 'set listen.host to one of its addresses, or leave it out',
        type: ['ip -brief address'],
      }
    default:
      return {
        severity: 'problem',
        what: `port ${port} cannot be opened (${failure})`,
        meaning,
        remedy: 'check listen',
      }
  }
}
