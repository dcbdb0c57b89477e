import { readFile } from 'node:fs/promises'
import type { LinkProblem } from './hub-session.ts'
import { authorityProblem } from './link-words.ts'

/**
 * The certificates that a hub is checked with: those that Node.js brings, and those of a PEM file. Read anew for every
 * connection, so that a renewed file counts.
 */
export async function hubAuthorities(file: string): Promise<string[] | LinkProblem> {
  let pem: string
  try {
    pem = await readFile(file, 'utf8')
  } catch (error) {
    return authorityProblem(file, `cannot be read (${(error as Error).message})`)
  }
  const [{ X509Certificate }, { rootCertificates }] = await Promise.all([import('node:crypto'), import('node:tls')])
  try {
    new X509Certificate(pem)
  } catch {
    return authorityProblem(file, 'holds no certificate')
  }
  return [...rootCertificates, pem]
}
