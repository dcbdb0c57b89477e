import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Link layer of bare IPv4 packets in a capture file. */
const RAW_IP = 101

/** The dissector of sACN (acn) waits to be asked. */
const HOW = ['--enable-heuristic', 'acn', '-o', 'acn.dmx_enable:TRUE']

/** Why tests with tshark are skipped; false: it is installed. */
export function tsharkMissing(): string | false {
  return spawnSync('which', ['tshark']).status !== 0 && 'NOT TESTED: no tshark (apt install tshark)'
}

/** What Wireshark reads in UDP payloads, with all details. */
export function dissect(payloads: readonly Buffer[], port: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'capture-'))
  try {
    const file = join(folder, 'frames.pcap')
    writeFileSync(file, capture(payloads, port))
    const { stdout, stderr, status } = spawnSync('tshark', ['-r', file, '-V', ...HOW], {
      encoding: 'utf8',
      maxBuffer: 64_000_000,
    })
    if (status !== 0) throw new Error(`tshark: ${stderr}`)
    return stdout
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A pcap file: its header, and for each packet a header, IPv4 and UDP. */
function capture(payloads: readonly Buffer[], port: number): Buffer {
  const head = Buffer.alloc(24)
  head.writeUInt32LE(0xa1b2c3d4, 0)
  head.writeUInt16LE(2, 4)
  head.writeUInt16LE(4, 6)
  head.writeUInt32LE(65_535, 16)
  head.writeUInt32LE(RAW_IP, 20)
  const packets = payloads.map((payload) => {
    const size = 28 + payload.length
    const bytes = Buffer.alloc(16 + 28)
    bytes.writeUInt32LE(size, 8)
    bytes.writeUInt32LE(size, 12)
    bytes.set([0x45, 0, size >> 8, size & 255, 0, 0, 0, 0, 8, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 2], 16)
    bytes.writeUInt16BE(port, 36)
    bytes.writeUInt16BE(port, 38)
    bytes.writeUInt16BE(8 + payload.length, 40)
    return Buffer.concat([bytes, payload])
  })
  return Buffer.concat([head, ...packets])
}
