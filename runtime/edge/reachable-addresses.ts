import { hostname, networkInterfaces } from 'node:os'

/** URLs by which others reach this machine; this machine itself when it listens on loopback only. */
export function reachableAddresses(host: string | undefined, port: number, isTls: boolean): string[] {
  const scheme = isTls ? 'wss' : 'ws'
  const isAll = host === undefined || host === '::' || host === '0.0.0.0'
  const hosts = isAll
    ? Object.values(networkInterfaces())
        .flatMap((addresses) => addresses ?? [])
        .filter(({ family, internal }) => family === 'IPv4' && !internal)
        .map(({ address }) => address)
    : [host.includes(':') ? `[${host}]` : host]
  if (isAll && hosts.length > 0) hosts.push(`${hostname()}.local`)
  if (isAll) hosts.push('127.0.0.1')
  return hosts.map((name) => `${scheme}://${name}:${port}/clasp`)
}
