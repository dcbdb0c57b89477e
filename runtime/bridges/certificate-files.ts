import { readFile } from 'node:fs/promises'
import type { SecureContextOptions } from 'node:tls'
import type { Clock, Timer } from '../router/clock.ts'

const LOOK_EVERY_MS = 60_000

export interface CertificatePaths {
  /** PEM. */
  readonly cert: string
  readonly key: string
  readonly passphrase: string | undefined
}

type Contents = Required<Pick<SecureContextOptions, 'cert' | 'key'>> & Pick<SecureContextOptions, 'passphrase'>

/** The files of a TLS server. Certificates are renewed while it runs: they are read again every minute. */
export class CertificateFiles {
  private readonly paths: CertificatePaths
  private readonly use: (contents: Contents) => void
  private contents: { readonly cert: Buffer; readonly key: Buffer } | null = null
  private timer: Timer | null = null
  private isStopped = false

  /** `use` gets what is new, and throws when it can do nothing with it. */
  constructor(paths: CertificatePaths, use: (contents: Contents) => void) {
    this.paths = paths
    this.use = use
  }

  /** Rejects with an error that names the file when one cannot be read or used. */
  async load(): Promise<void> {
    const { cert, key, passphrase } = this.paths
    const contents = { cert: await readPem(cert), key: await readPem(key) }
    if (this.contents?.cert.equals(contents.cert) && this.contents.key.equals(contents.key)) return
    // What cannot be used is not tried again until it changes: the other file may follow.
    this.contents = contents
    try {
      this.use({ ...contents, passphrase })
    } catch (error) {
      throw new Error(`${cert} and ${key} cannot be used (${(error as Error).message}): check tls`)
    }
  }

  watch(clock: Clock, onProblem: (message: string) => void): void {
    if (this.isStopped) return
    this.timer = clock.timer(LOOK_EVERY_MS, () => {
      void this.load()
        .catch(({ message }: Error) => onProblem(`the certificate stays as it was: ${message}`))
        .then(() => this.watch(clock, onProblem))
    })
  }

  stop(): void {
    this.isStopped = true
    this.timer?.cancel()
  }
}

async function readPem(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    throw new Error(`${path} cannot be read (${(error as NodeJS.ErrnoException).code}): tls needs a readable PEM file`)
  }
}
