import { execFile } from 'node:child_process'
import { statfs } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname } from 'node:path'
import { findProgram } from '../../find-program.ts'
import { loadSqlite } from '../../journal/sqlite.ts'
import { portHolder } from '../../transports/port-holder.ts'
import { loadSerialDriver } from '../../transports/serial-binding.ts'
import { fetchStatus } from '../http-status.ts'
import type { DeviceProgramName } from './devices.ts'

const ANSWER_WITHIN_MS = 2000

export interface Space {
  freeBytes: number
  totalBytes: number
  /** 0…1; 1 where the file system does not count files. */
  freeFiles: number
}

/** What cannot be read from files: the running system. Nothing rejects. */
export interface LiveSystem {
  nowMs(): number
  nodeVersion: string
  space(path: string): Promise<Space | undefined>
  /** The code of the error with which the port cannot be opened; undefined when it can. */
  portFailure(host: string | undefined, port: number): Promise<string | undefined>
  /** As `node (pid 123)`; undefined when it cannot be found. */
  portHolder(port: number): Promise<string | undefined>
  /** The name of the router of this kind that listens there. */
  routerAt(port: number): Promise<string | undefined>
  /** Whether the clock is set from the network; undefined when it cannot be found out. */
  isSynchronised(): Promise<boolean | undefined>
  /** Whether a program that comes with the runtime is there. */
  hasProgram(name: DeviceProgramName): Promise<boolean>
  /** Why an optional package cannot be used, with what to do; undefined when it can. */
  packageFailure(name: OptionalPackage): Promise<string | undefined>
}

export type OptionalPackage = 'libsql' | '@serialport/bindings-cpp'

export function thisSystem(): LiveSystem {
  return {
    nowMs: () => Date.now(),
    nodeVersion: process.versions.node,
    space,
    portFailure,
    portHolder: (port) => portHolder('tcp', port),
    routerAt: async (port) => (await fetchStatus(`ws://127.0.0.1:${port}`, ANSWER_WITHIN_MS))?.name,
    isSynchronised,
    hasProgram: async (name) => (await findProgram(dirname(process.argv[1] ?? ''), name)) !== null,
    packageFailure: (name) =>
      (name === 'libsql' ? loadSqlite() : loadSerialDriver()).then(
        () => undefined,
        (error: Error) => error.message,
      ),
  }
}

async function space(path: string): Promise<Space | undefined> {
  const found = await statfs(path).catch(() => undefined)
  if (found === undefined) return undefined
  const { bsize, bavail, blocks, files, ffree } = found
  return { freeBytes: bsize * bavail, totalBytes: bsize * blocks, freeFiles: files === 0 ? 1 : ffree / files }
}

function portFailure(host: string | undefined, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code ?? 'UNKNOWN'))
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(undefined)))
  })
}

function isSynchronised(): Promise<boolean | undefined> {
  return new Promise((resolve) => {
    const args = ['show', '--property=NTPSynchronized', '--value']
    execFile('timedatectl', args, { timeout: ANSWER_WITHIN_MS }, (error, answer) => {
      const word = answer.trim()
      resolve(error !== null || (word !== 'yes' && word !== 'no') ? undefined : word === 'yes')
    })
  })
}
