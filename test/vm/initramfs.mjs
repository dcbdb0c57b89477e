/** The first file system of the guest: an archive that the kernel unpacks into memory. */
import { gzipSync } from 'node:zlib'

const DIRECTORY = 0o040755
const FILE = 0o100755

/**
 * Files by path, as a compressed archive of the format `newc`: for each file a header of 110 characters (the magic
 * 070701, then 13 numbers of 8 hexadecimal digits), its name that ends with 0, and its bytes, the last two padded to 4.
 * Source: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel. Folders are added.
 */
export function initramfs(files) {
  const folders = new Set(Object.keys(files).flatMap(foldersAbove))
  const entries = [
    ...[...folders].map((path) => ({ path, mode: DIRECTORY, bytes: Buffer.alloc(0) })),
    ...Object.entries(files).map(([path, bytes]) => ({ path, mode: FILE, bytes })),
    { path: 'TRAILER!!!', mode: 0, bytes: Buffer.alloc(0) },
  ]
  const parts = entries.flatMap(({ path, mode, bytes }, index) => {
    const name = Buffer.from(`${path}\0`)
    const numbers = [index + 1, mode, 0, 0, 1, 0, bytes.length, 0, 0, 0, 0, name.length, 0]
    const header = `070701${numbers.map((number) => number.toString(16).padStart(8, '0')).join('')}`
    return [padded(Buffer.concat([Buffer.from(header), name])), padded(bytes)]
  })
  return gzipSync(Buffer.concat(parts), { level: 1 })
}

function foldersAbove(path) {
  const names = path.split('/').slice(0, -1)
  return names.map((_, index) => names.slice(0, index + 1).join('/'))
}

function padded(bytes) {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)])
}
