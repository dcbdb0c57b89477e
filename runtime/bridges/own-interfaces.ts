import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'

let known: NodeJS.Dict<NetworkInterfaceInfo[]> = {}

/** Of this machine. Asking takes a file descriptor: where there is none left, they are as they were last. */
export function ownInterfaces(): NodeJS.Dict<NetworkInterfaceInfo[]> {
  try {
    known = networkInterfaces()
  } catch {
    // It is asked again soon.
  }
  return known
}
