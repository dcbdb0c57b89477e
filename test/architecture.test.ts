import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, it } from 'node:test'

/** What each room may import, besides itself. The composition root and the commands may import everything. */
const ALLOWED: Record<string, readonly string[]> = {
  'firmware-protocol': [],
  'runtime/router': ['firmware-protocol'],
  // Both say of a device node who may open it.
  'runtime/transports': ['firmware-protocol', 'runtime/router', 'boards'],
  // Stands between transports and router; the transports know it only by the contract `PeerAcceptor`.
  'runtime/firmware': ['firmware-protocol', 'runtime/router', 'runtime/transports'],
  // The defaults and the shape of the router's options are the router's own.
  // The drivers say what can be set of a device.
  // So do bridges and rules, which only say so: their code is loaded when they are started.
  'runtime/config': ['firmware-protocol', 'runtime/router', 'devices', 'runtime/bridges', 'runtime/routes'],
  // The client dials TCP with the framing that the listener cuts.
  'runtime/client': ['firmware-protocol', 'runtime/router', 'runtime/transports'],
  'runtime/discovery': ['firmware-protocol', 'runtime/router'],
  'runtime/journal': ['firmware-protocol', 'runtime/router'],
  // The uplink dials as the client does.
  'runtime/federation': ['firmware-protocol', 'runtime/router', 'runtime/client'],
  // Retries as the client does, and opens serial ports as transports do.
  'runtime/devices': [
    'firmware-protocol',
    'runtime/router',
    'runtime/client',
    'runtime/transports',
    'devices',
    'boards',
  ],
  // Retries and asks as the client does, opens ports as transports do, and says in the fields of the configuration what can be set.
  // Programs beside the router are watched as those of devices are.
  'runtime/bridges': [
    'firmware-protocol',
    'runtime/router',
    'runtime/client',
    'runtime/transports',
    'runtime/config',
    'runtime/routes',
    'devices',
  ],
  'runtime/routes': ['firmware-protocol', 'runtime/router', 'runtime/config'],
  'runtime/observability': ['firmware-protocol', 'runtime/router'],
  devices: ['firmware-protocol', 'boards'],
  boards: [],
}
const ROOMS = Object.keys(ALLOWED)

const sources = ['firmware-protocol', 'runtime', 'devices', 'boards'].flatMap(filesBelow)

function filesBelow(path: string): string[] {
  if (!statSync(path).isDirectory()) return path.endsWith('.ts') ? [path] : []
  return readdirSync(path).flatMap((name) => filesBelow(join(path, name)))
}

function importsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8')
  const targets = [...text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)].map(([, target]) => target)
  return targets.map((target) => normalize(join(dirname(file), target)))
}

const roomOf = (file: string) => ROOMS.find((room) => file.startsWith(`${room}/`))

describe('the rooms', () => {
  it('import only what is below them', () => {
    const wrong = sources.flatMap((file) => {
      const room = roomOf(file)
      if (room === undefined) return []
      return importsOf(file)
        .filter((target) => roomOf(target) !== room && !ALLOWED[room].includes(roomOf(target) ?? ''))
        .map((target) => `${file} imports ${target}`)
    })
    assert.deepEqual(wrong, [])
    assert.ok(sources.length > 100, 'the sources were not found')
  })

  it('are all known: a new folder needs a rule', () => {
    const known = [
      'runtime/cli/',
      'runtime/edge.ts',
      'runtime/edge/',
      'runtime/find-program.ts',
      ...ROOMS.map((room) => `${room}/`),
    ]
    assert.deepEqual(
      sources.filter((file) => !known.some((prefix) => file.startsWith(prefix))),
      [],
    )
  })

  it('load the commands and the hot path without the libraries of others', () => {
    const eager = sources.flatMap((file) => {
      const text = readFileSync(file, 'utf8')
      return [...text.matchAll(/^import (?!type)[^\n]* from '(ws|yaml|bonjour-service)'/gm)].map(
        ([line]) => `${file}: ${line}`,
      )
    })
    // A module that is itself loaded on demand may name its library.
    assert.deepEqual(
      eager.filter((line) => /runtime\/(router|transports|edge)/.test(line)),
      [],
    )
  })
})
