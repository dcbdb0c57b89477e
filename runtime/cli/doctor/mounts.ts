import type { SystemFiles } from './system.ts'

export interface Mount {
  device: string
  place: string
  type: string
  options: readonly string[]
}

/** What is mounted, in order. Columns of /proc/mounts as in fstab(5); spaces in paths are \040. */
export async function readMounts(files: SystemFiles, path = '/proc/mounts'): Promise<Mount[]> {
  const text = (await files.text(path)) ?? ''
  return text
    .split('\n')
    .filter((line) => /^[^#\s]/.test(line))
    .map((line) => line.trim().split(/\s+/))
    .map(([device = '', place = '', type = '', options = '']) => ({
      device,
      place: place.replaceAll('\\040', ' '),
      type,
      options: options.split(','),
    }))
}

/** What a path is on: the deepest mount above it; of two at one place the later one. */
export function mountOf(mounts: readonly Mount[], path: string): Mount | undefined {
  const above = mounts.filter(({ place }) => place === '/' || path === place || path.startsWith(`${place}/`))
  return above.reduce<Mount | undefined>(
    (best, mount) => (best === undefined || mount.place.length >= best.place.length ? mount : best),
    undefined,
  )
}
